// Polls the state and draws it. Polling rather than a stream: it holds no connection to pgsteer, works
// through every proxy, and the same timer notices silence.
import {h, patch} from './dom.js';
import {age, clock, duration, secondsBetween} from './format.js';
import {events, failovers} from './failovers.js';
import {kBannerAdvice} from './explain.js';
import {banners} from './judgement.js';
import {listeners} from './listeners.js';
import {kDenseFrom, nodes} from './nodes.js';
import {overview, Traffic} from './overview.js';
import {Sessions} from './sessions.js';

const kInterval = 1000;        // milliseconds between two polls
const kFastInterval = 250;     // while something is going on
const kHiddenInterval = 5000;  // while the page is in the background
const kTimeout = 4000;         // for one answer
const kLostAfter = 3000;       // without an answer, contact counts as lost

const traffic = new Traffic();
const byId = (id) => document.getElementById(id);
let status = null;
let heard = null;    // performance.now() of the last answer
let heardAt = null;  // the same as a time of day

const silence = () => performance.now() - (heard === null ? 0 : heard);
const lost = () => silence() > (document.hidden ? kHiddenInterval + kLostAfter : kLostAfter);

function bannerLine({level, key, text, advice, aside}) {
  const mark = {bad: '▲', warn: '◐', info: '○'}[level];
  return h('p', {class: 'banner ' + level, key},
           h('span', {class: 'mark', 'aria-hidden': 'true'}, mark),
           h('span', {}, text, advice ? h('span', {class: 'advice'}, ' ' + advice) : null),
           aside ? h('span', {class: 'aside', 'aria-hidden': 'true'}, aside) : null);
}

function drawContact() {
  const gone = lost();
  document.body.classList.toggle('lost', gone);
  const contact = byId('contact');
  contact.classList.toggle('bad', gone);
  const text = heard === null ? (gone ? '▲ no answer yet' : 'connecting')
    : gone ? '▲ last heard ' + age(silence() / 1000) + ' ago' : 'live';
  if (contact.textContent !== text) contact.textContent = text;
  drawBanners(gone);
}

function drawBanners(gone) {
  const list = status ? banners(status) : [];
  if (gone) {
    const text = heard === null ? 'pgsteer does not answer.'
      : 'No contact with pgsteer. The page shows the state at ' + clock(heardAt, new Date()) + '.';
    list.unshift({level: 'bad', key: 'lost', text, advice: kBannerAdvice.lost});
  }
  patch(byId('banners'), list.map(bannerLine));
}

function footer() {
  const link = (href, text) => h('a', {href}, text);
  return [
    h('p', {}, 'pgsteer ' + status.version + ', running for ',
      h('span', {title: status.started_at},
        duration(secondsBetween(status.started_at, status.generated_at))),
      ', ' + status.workers + (status.workers === 1 ? ' worker' : ' workers') +
      (status.accept_errors_total ? ', ' + status.accept_errors_total + ' accept errors' : '')),
    h('p', {}, 'Symptoms and remedies: docs/troubleshooting.md'),
    h('nav', {'aria-label': 'The same data for programs'}, link('api/v1/status', 'status as JSON'), ' ',
      link('metrics', 'metrics'), ' ', link('ready', 'ready'), ' ', link('live', 'live')),
  ];
}

function draw() {
  const cluster = status.cluster;
  const trouble = banners(status).some((banner) => banner.level === 'bad');
  document.title = (trouble ? '▲ ' : '') + (cluster.primary || 'no primary') +
    (cluster.scope ? ' · ' + cluster.scope : '') + ' · pgsteer';
  patch(byId('overview'), overview(status, traffic));
  byId('nodes').classList.toggle('dense', status.nodes.length >= kDenseFrom);
  patch(byId('nodes'), nodes(status));
  patch(byId('listeners'), listeners(status, traffic));
  patch(byId('failovers'), failovers(status));
  patch(byId('events'), events(status));
  patch(byId('footer'), footer());
}

function interval() {
  if (document.hidden) return kHiddenInterval;
  const busy = status && status.cluster.first_round_done &&
    (status.cluster.hunting || !status.cluster.primary);
  return busy ? kFastInterval : kInterval;
}

let timer = null;
let polling = false;

// The state, or null if there was no answer.
async function ask() {
  try {
    const reply = await fetch('api/v1/status',
                              {cache: 'no-store', signal: AbortSignal.timeout(kTimeout)});
    return reply.ok ? await reply.json() : null;
  } catch (e) {
    return null;
  }
}

async function poll() {
  if (polling) return;
  polling = true;
  clearTimeout(timer);
  const answer = await ask();
  if (answer) {
    status = answer;
    heard = performance.now();
    heardAt = new Date();
    traffic.add(status);
    draw();
  }
  drawContact();
  polling = false;
  timer = setTimeout(poll, lost() ? kInterval : interval());
}

new Sessions();
setInterval(drawContact, 500);
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) poll();
});
poll();
