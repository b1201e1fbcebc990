import assert from 'node:assert/strict';
import { createMetrics } from '../../gateway/control/metrics.ts';
import { counters } from '../../gateway/core/metrics.ts';

describe('metrics', () => {
  const sources = { sessions: () => 3, channels: () => 2, subscriptions: () => 5 };

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
