/**
 * The demo page: two chat panes, and the log of the gateway beside them. A frame is matched with its request by order: the
 * requests of one connection are made one after the other, and each connection names itself in its URL (`?tab=...`).
 */
const framesMax = 200;
const rowsMax = 100;
const floodMessages = 30;

const people = [
  { name: 'alice', title: 'Alice', key: 'demo-alice' },
  { name: 'bob', title: 'Bob', key: 'demo-bob' },
];

const panes = people.map(createPane);
document.querySelector('#panes').append(...panes.map((pane) => pane.element));
followLog();

/** Elements from a short description; children may be text. */
function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

// ---- The log of the gateway

function followLog() {
  const source = new EventSource('_log?since=0');
  const counts = { all: 0, refused: 0 };
  source.addEventListener('message', ({ data }) => {
    const entry = JSON.parse(data);
    counts.all += 1;
    if (entry.status >= 400) counts.refused += 1;
    document.querySelector('#count-all').textContent = counts.all;
    document.querySelector('#count-refused').textContent = counts.refused;
    addRow(entry);
    const tab = new URLSearchParams(entry.path.split('?')[1]).get('tab');
    for (const pane of panes) if (pane.tab() === tab) pane.settle(entry);
  });
}

function addRow(entry) {
  const rows = document.querySelector('#requests');
  document.querySelector('#requests-empty').hidden = true;
  const body = entry.events.length > 0 ? entry.events.map(eventOf) : [entry.bytes > 0 ? `${entry.bytes} bytes` : 'empty'];
  const row = element(
    'tr',
    entry.status >= 400 ? 'refused' : '',
    element('td', 'extra', new Date(entry.time).toLocaleTimeString([], { hour12: false })),
    element('td', '', entry.consumer ?? 'unknown'),
    element('td', 'mono extra', `${entry.method} ${entry.path.split('?')[0]}`),
    element('td', 'mono body', ...body.map((line) => element('div', '', line))),
    element('td', '', verdict(entry)),
    element('td', 'number', milliseconds(entry)),
  );
  rows.prepend(row);
  while (rows.rows.length > rowsMax) rows.rows[rowsMax].remove();
}

/** The line that heads the event, as it stands in the body, and what the client said. */
function eventOf({ line, content }) {
  const shown = element('span', '', element('span', 'head', line));
  if (line.startsWith('TEXT')) shown.append(` ${content}`);
  return shown;
}

/** Status and word: the colour only repeats them. */
function verdict({ status, verdict: word }) {
  return element('span', `chip ${status >= 400 ? 'bad' : 'good'}`, `${status} ${status < 400 ? 'ok' : word}`);
}

function milliseconds({ durationMs }) {
  return durationMs < 10 ? `${durationMs.toFixed(1)} ms` : `${Math.round(durationMs)} ms`;
}

// ---- A pane

function createPane({ name, title, key }) {
  const pane = document.querySelector('#pane').content.cloneNode(true).querySelector('section');
  const find = (selector) => pane.querySelector(selector);
  const frames = find('.frames');
  const input = find('[name=text]');
  const keys = find('[name=key]');
  let socket;
  let tab = '';
  let opening;
  let closing;
  /** Frames that wait for their request, refusals of the gateway that wait for the frame about them, and the other way round. */
  let sent = [];
  let refused = [];
  let errors = [];
  let countdown;
  let opened = false;
  /** The list stays at its end, unless somebody has scrolled back. */
  let atEnd = true;

  pane.dataset.name = name;
  pane.setAttribute('aria-label', `Chat of ${title}`);
  find('h2').textContent = title;
  frames.setAttribute('aria-label', `Frames of ${title}`);
  input.id = `text-${name}`;
  find('.compose label').htmlFor = input.id;
  find('.compose label').textContent = `Message of ${title}`;
  find('.flood').title = `Sends ${floodMessages} messages at once`;
  find('.flood').setAttribute('aria-label', `Flood: ${title} sends ${floodMessages} messages`);
  keys.append(new Option(key, key), new Option('no key', ''), new Option('wrong key', 'demo-nobody'));
  setState('off', 'not connected');

  find('.connect').addEventListener('submit', (event) => {
    event.preventDefault();
    if (socket) disconnect();
    else connect();
  });
  find('.compose').addEventListener('submit', (event) => {
    event.preventDefault();
    if (input.value === '') return;
    send(input.value);
    input.value = '';
    input.focus();
  });
  frames.addEventListener('scroll', () => {
    atEnd = frames.scrollHeight - frames.scrollTop - frames.clientHeight < 40;
  });
  new ResizeObserver(toEnd).observe(frames);
  find('.flood').addEventListener('click', () => {
    for (let i = 1; i <= floodMessages; i += 1) send(`message ${i} of ${floodMessages}`);
  });

  return { element: pane, tab: () => tab, settle };

  function setState(kind, text) {
    pane.dataset.state = kind;
    find('.state').textContent = text;
    const open = kind === 'open';
    for (const control of find('.compose').elements) control.disabled = !open;
    keys.disabled = kind === 'open' || kind === 'connecting';
    find('.connect button').textContent = open ? 'Disconnect' : 'Connect';
    find('.connect button').setAttribute('aria-label', `${open ? 'Disconnect' : 'Connect'} ${title}`);
    find('.connect button').disabled = kind === 'connecting';
  }

  function connect() {
    tab = `${name}-${Math.random().toString(36).slice(2, 8)}`;
    sent = [];
    refused = [];
    errors = [];
    opening = addFrame('out control', 'handshake');
    closing = undefined;
    const url = new URL('chat', location.href.replace(/^http/, 'ws'));
    url.searchParams.set('tab', tab);
    if (keys.value) url.searchParams.set('apikey', keys.value);
    socket = new WebSocket(url);
    opened = false;
    setState('connecting', 'connecting …');
    socket.addEventListener('open', () => {
      opened = true;
      setState('open', 'connected');
      input.focus();
    });
    socket.addEventListener('message', ({ data }) => receive(data));
    socket.addEventListener('close', ({ code, reason }) => {
      socket = undefined;
      if (opened) setState('off', `closed, code ${code}${reason ? ` (${reason})` : ''}`);
      else if (pane.dataset.state === 'connecting') setState('refused', 'refused');
    });
  }

  function disconnect() {
    closing = addFrame('out control', 'close');
    socket.close(1000);
  }

  function send(text) {
    atEnd = true;
    if (socket?.readyState !== WebSocket.OPEN) return;
    socket.send(text);
    sent.push(addFrame('out', text));
  }

  function receive(data) {
    const message = parse(data);
    if (message.type === 'error') {
      errors.push(message);
      pairRefusals();
      return;
    }
    const own =
      message.name === name &&
      [...frames.children].find((row) => row.dataset.text === message.text && row.dataset.delivered === 'no');
    if (own) own.dataset.delivered = 'yes';
    else addFrame('in', message.text ?? data, message.name ?? 'message');
  }

  /** A request of this connection is in the log: what was it made of? */
  function settle(entry) {
    for (const { line } of entry.events) {
      const type = line.split(' ')[0];
      const row = type === 'TEXT' ? sent.shift() : type === 'OPEN' ? opening : type === 'CLOSE' ? closing : undefined;
      if (!row) continue;
      showRequest(row, entry, line);
      if (entry.status < 400) continue;
      row.classList.add('refused');
      delete row.dataset.delivered;
      if (type === 'OPEN') setState('refused', `refused by the gateway: ${entry.status} ${entry.verdict}`);
      if (type === 'TEXT' && entry.status === 429) refused.push(row);
    }
    pairRefusals();
  }

  /** The refusals in the log and the error frames in the socket come in the same order, each on its own way. */
  function pairRefusals() {
    while (refused.length > 0 && errors.length > 0) {
      const row = refused.shift();
      const { retryAfterMs } = errors.shift();
      const wait = retryAfterMs === undefined ? '' : `, wait ${Math.ceil(retryAfterMs / 1000)} s`;
      row.querySelector('.request').append(element('span', 'note', `refused${wait}`));
      if (retryAfterMs !== undefined) countDown(retryAfterMs);
    }
    toEnd();
  }

  function countDown(waitMs) {
    const until = performance.now() + waitMs;
    const wait = find('.wait');
    clearInterval(countdown);
    const show = () => {
      const seconds = Math.ceil((until - performance.now()) / 1000);
      wait.hidden = seconds <= 0;
      wait.textContent = `Over the limit of the gateway. It takes messages again in ${seconds} s; the connection stays.`;
      if (seconds <= 0) clearInterval(countdown);
    };
    countdown = setInterval(show, 1000);
    show();
  }

  function addFrame(kind, text, from = '') {
    const row = element('li', `frame ${kind}`);
    row.dataset.from = from;
    const first = frames.lastElementChild?.dataset.from !== from;
    if (from && first) row.append(element('span', 'from', from));
    row.append(element('span', 'text', text));
    if (kind === 'out') {
      row.dataset.text = text;
      row.dataset.delivered = 'no';
    }
    if (kind !== 'in') row.append(element('span', 'request', element('span', 'pending', 'on its way …')));
    frames.append(row);
    while (frames.children.length > framesMax) frames.firstChild.remove();
    toEnd();
    return row;
  }

  function showRequest(row, entry, line) {
    row
      .querySelector('.request')
      .replaceChildren(
        element('span', 'mono', `${entry.method} ${entry.path.split('?')[0]}`),
        element('span', 'mono', line),
        verdict(entry),
        element('span', 'taken', milliseconds(entry)),
      );
    toEnd();
  }

  function toEnd() {
    if (atEnd) frames.scrollTop = frames.scrollHeight;
  }
}

/** What the backend publishes is JSON; anything else is shown as it is. */
function parse(data) {
  try {
    return JSON.parse(data);
  } catch {
    return {};
  }
}
