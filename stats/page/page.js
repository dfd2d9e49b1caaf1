// Polls the state and draws it. Polling rather than a stream: it holds no connection to pgsteer, works
// through every proxy, and the same timer notices silence.
import {h, patch} from './dom.js';
import {age, clock, duration, plural, secondsBetween} from './format.js';
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

function lastReload(config) {
  if (!config.reloads_done_total && !config.reloads_failed_total) return null;
  const changes = config.last_reload_changes;
  const [text, title] = config.last_reload_failed ? ['failed', config.last_reload_error]
    : changes.length ? [plural(changes.length, 'change'), changes.join('\n')] : ['no change', null];
  return ['; last reload: ', h('span', {title, class: title ? 'more' : null}, text)];
}

function configLine({config, generated_at: now}) {
  if (!config.in_force_since) return null;
  return h('p', {}, 'Configuration ' + config.number + ', in force for ',
           h('span', {title: config.in_force_since}, age(secondsBetween(config.in_force_since, now))),
           ': ' + config.file, lastReload(config));
}

function footer() {
  const link = (href, text) => h('a', {href}, text);
  return [
    h('div', {},
      h('p', {}, 'pgsteer ' + status.version + ', running for ',
        h('span', {title: status.started_at},
          duration(secondsBetween(status.started_at, status.generated_at))),
        ', ' + status.workers + (status.workers === 1 ? ' worker' : ' workers') +
        (status.accept_errors_total ? ', ' + status.accept_errors_total + ' accept errors' : '')),
      configLine(status)),
    h('div', {},
      h('p', {}, 'Symptoms and remedies: docs/troubleshooting.md'),
      h('nav', {'aria-label': 'The same data for programs'}, link('api/v1/status', 'status as JSON'), ' ',
        link('metrics', 'metrics'), ' ', link('ready', 'ready'), ' ', link('live', 'live'))),
  ];
}

function draw() {
  const cluster = status.clusters.find((one) => !one.primary) || status.clusters[0] || {};
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
  const busy = status && status.clusters.some((cluster) =>
    cluster.first_round_done && (cluster.hunting || !cluster.primary));
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
