// The browser's side: what comes from the websocket becomes elements, never HTML.
const $ = (id) => document.getElementById(id);
const url = new URL(document.body.dataset.socket, location.href);
url.protocol = url.protocol.replace('http', 'ws');

let socket = null;
let name = sessionStorage.getItem('name'); // of this tab
let last = 0; // the message that came last
let delay = 500; // ms until the next attempt

// A colour of each name, the same for everybody.
function hue(text) {
  let sum = 0;
  for (const c of text.toLowerCase()) sum = (sum * 31 + c.codePointAt(0)) % 360;
  return sum;
}

function element(tag, text, className) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function initial(person) {
  const made = element('span', Array.from(person)[0].toUpperCase(), 'initial');
  made.style.setProperty('--hue', hue(person));
  made.setAttribute('aria-hidden', 'true');
  return made;
}

// Scrolls on only for who has read to the end.
function add(item) {
  const log = $('log');
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
  log.append(item);
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function showMessage({ id, name: who, text, time }) {
  if (id <= last) return;
  last = id;
  const at = new Date(time * 1000);
  const clock = element('time', at.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }));
  clock.dateTime = at.toISOString();
  const item = element('li', '', who === name ? 'mine' : '');
  const head = element('p', '', 'head');
  head.append(element('strong', who), clock);
  const bubble = element('div', '', 'bubble');
  bubble.append(head, element('p', text, 'text'));
  item.append(initial(who), bubble);
  add(item);
}

function showPeople({ people, came, left }) {
  $('people').replaceChildren(...people.map((person) => {
    const item = element('li', '');
    item.append(initial(person), element('span', person));
    return item;
  }));
  if (came && came !== name) add(element('li', `${came} came in`, 'note'));
  if (left) add(element('li', `${left} left`, 'note'));
}

function showState(state, text) {
  $('state').dataset.state = state;
  $('state').textContent = text;
}

function inside(yes) {
  $('say').hidden = !yes;
  $('enter').hidden = yes;
  (yes ? $('text') : $('name')).focus();
}

const on = {
  welcome(message) {
    name = message.name;
    sessionStorage.setItem('name', name);
    message.history.forEach(showMessage);
    showState('open', `here as ${name}`);
    inside(true);
  },
  refused({ why }) {
    $('refusal').textContent = why;
    inside(false);
  },
  said({ message }) { showMessage(message); },
  people: showPeople,
};

function send(message) {
  socket.send(JSON.stringify(message));
}

// Comes again by itself, and asks for what was said in the meantime.
function connect() {
  socket = new WebSocket(url);
  socket.onopen = () => {
    delay = 500;
    showState('open', 'connected');
    if (name) send({ type: 'enter', name, since: last });
  };
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    on[message.type]?.(message);
  };
  socket.onclose = () => {
    showState('closed', 'connecting again…');
    setTimeout(connect, delay);
    delay = Math.min(delay * 2, 10000);
  };
}

$('enter').onsubmit = (event) => {
  event.preventDefault();
  $('refusal').textContent = '';
  name = $('name').value;
  if (socket.readyState === WebSocket.OPEN) send({ type: 'enter', name, since: last });
};

$('say').onsubmit = (event) => {
  event.preventDefault();
  if (!$('text').value.trim() || socket.readyState !== WebSocket.OPEN) return;
  send({ type: 'say', text: $('text').value });
  $('text').value = '';
};

$('name').value = name ?? '';
inside(false);
connect();
