import assert from 'node:assert/strict';
import { createMetrics } from '../../gateway/control/metrics.ts';
import { counters } from '../../gateway/core/metrics.ts';

describe('metrics', () => {
  const pushpin = () => ({
    requestReceived: 7,
    connectionConnected: 4,
    connectionMinute: 9,
    messageReceived: 8,
    messageSent: 21,
  });
  const sources = {
    sessions: () => 3,
    channels: () => 2,
    subscriptions: () => 5,
    pushpin,
    storeUp: () => true,
    targets: () => [],
    busUp: () => true,
  };

  it('has every counter of the table, at 0', async () => {
    const { text } = await createMetrics(sources).text();
    for (const [name, help] of Object.entries(counters)) {
      assert.ok(
        text.includes(`# HELP foregate_${name}_total ${help}\n# TYPE foregate_${name}_total counter\nforegate_${name}_total 0\n`),
        name,
      );
    }
  });

  it('counts by one and by more', async () => {
    const metrics = createMetrics(sources);
    metrics.count('deliveries');
    metrics.count('deliveries', 41);
    const { text } = await metrics.text();
    assert.match(text, /^foregate_deliveries_total 42$/m);
  });

  it('asks for the gauges when it is asked', async () => {
    let sessions = 1;
    const metrics = createMetrics({ ...sources, sessions: () => sessions });
    sessions = 7;
    const { text } = await metrics.text();
    assert.match(text, /^foregate_sessions 7$/m);
    assert.match(text, /^foregate_channels 2$/m);
    assert.match(text, /^foregate_subscriptions 5$/m);
  });

  it('has the metrics of Pushpin under the same names, with the same types and texts', async () => {
    const { text } = await createMetrics(sources).text();
    for (const lines of [
      '# HELP request_received Number of requests received\n# TYPE request_received counter\nrequest_received 7\n',
      '# HELP connection_connected Number of concurrent connections\n# TYPE connection_connected gauge\nconnection_connected 4\n',
      '# HELP connection_minute Number of minutes clients have been connected\n# TYPE connection_minute counter\nconnection_minute 9\n',
      '# HELP message_received Number of messages received by the publish API\n# TYPE message_received counter\nmessage_received 8\n',
      '# HELP message_sent Number of messages sent to clients\n# TYPE message_sent counter\nmessage_sent 21\n',
    ])
      assert.ok(text.includes(lines), lines);
  });

  it('puts the prefix before those names and no others', async () => {
    const { text } = await createMetrics(sources, 'pushpin_').text();
    assert.match(text, /^# TYPE pushpin_request_received counter\npushpin_request_received 7$/m);
    assert.match(text, /^pushpin_message_sent 21$/m);
    assert.doesNotMatch(text, /^message_sent /m);
    assert.match(text, /^foregate_sessions 3$/m);
  });

  it('gives the same numbers to everybody who asks', async () => {
    const metrics = createMetrics(sources);
    await metrics.text();
    assert.match((await metrics.text()).text, /^request_received 7$/m);
  });

  it('brings the usual metrics of a process, and its media type', async () => {
    const { type, text } = await createMetrics(sources).text();
    assert.match(type, /^text\/plain; version=0\.0\.4/);
    assert.match(text, /^process_resident_memory_bytes \d+/m);
    assert.match(text, /^nodejs_eventloop_lag_seconds /m);
  });

  it('keeps two instances apart', async () => {
    const [one, two] = [createMetrics(sources), createMetrics(sources)];
    one.count('publications');
    assert.match((await one.text()).text, /^foregate_publications_total 1$/m);
    assert.match((await two.text()).text, /^foregate_publications_total 0$/m);
  });
});
