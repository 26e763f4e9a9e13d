// Hears how far the counting is. Closing the stream, or the page, stops it.
const $ = (id) => document.getElementById(id);
let source = null;
let began = 0;

function show(percent, found, text) {
  $('bar').setAttribute('aria-valuenow', Math.round(percent));
  $('bar').firstElementChild.style.width = `${percent}%`;
  $('found').textContent = found === null ? '–' : found.toLocaleString('en');
  $('state').textContent = text;
}

function end(state) {
  source.close();
  source = null;
  document.body.dataset.state = state;
  $('stop').hidden = true;
  $('start').hidden = false;
}

const seconds = () => ((performance.now() - began) / 1000).toFixed(1);

function remaining(percent) {
  const left = (performance.now() - began) / 1000 * (100 - percent) / percent;
  return left < 1 ? 'nearly there' : `about ${Math.ceil(left)} s left`;
}

$('ask').onsubmit = (event) => {
  event.preventDefault();
  began = performance.now();
  document.body.dataset.state = 'running';
  $('found-label').textContent = 'found so far';
  $('start').hidden = true;
  $('stop').hidden = false;
  show(0, null, 'Starting…');
  source = new EventSource(`${$('ask').action}?below=${encodeURIComponent($('below').value)}`);
  source.addEventListener('progress', ({ data }) => {
    const { percent, found } = JSON.parse(data);
    show(percent, found, `${Math.round(percent)} %, ${remaining(percent)}`);
  });
  source.addEventListener('result', ({ data }) => {
    end('done');
    $('found-label').textContent = `primes below ${Number($('below').value).toLocaleString('en')}`;
    show(100, JSON.parse(data).found, `Done in ${seconds()} s.`);
  });
  source.onerror = () => {
    if (source.readyState === EventSource.CONNECTING) {
      $('state').textContent = 'The connection is lost; trying again…';
      return;
    }
    end('failed');
    $('state').textContent = 'The server refused to count that.';
  };
};

$('stop').onclick = () => {
  end('stopped');
  $('state').textContent = `Stopped after ${seconds()} s, and so has the server.`;
};
