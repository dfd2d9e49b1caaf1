// The top of the page: who is the primary, and how much traffic there is.
import {h} from './dom.js';
import {age, bytes, count, exact, plural, secondsBetween} from './format.js';
import {ofCluster} from './judgement.js';

const kWindow = 120;   // seconds of traffic that the graphs show
const kSpacing = 0.9;  // minimal seconds between two samples: shorter ones are too noisy

// The traffic of the last two minutes, from the differences between polls.
export class Traffic {
  constructor() {
    this.samples = [];
    this.rates = new Map();  // listener -> {in, out}, bytes per second
    this.last = null;
  }

  add(status) {
    const last = this.last;
    if (last && last.started_at !== status.started_at) this.samples = [];
    const seconds = last ? secondsBetween(last.generated_at, status.generated_at) : 0;
    if (last && seconds >= 0 && seconds < kSpacing) return;
    this.last = status;
    if (!last) return;
    const at = Date.parse(status.generated_at) / 1000;
    const sample = {at, in: 0, out: 0, clients: 0};
    for (const listener of status.listeners) {
      const before = last.listeners.find((other) => other.name === listener.name);
      const rate = (name) =>
        before && seconds > 0 ? Math.max(0, listener[name] - before[name]) / seconds : 0;
      const rates = {in: rate('bytes_in'), out: rate('bytes_out')};
      this.rates.set(listener.name, rates);
      sample.in += rates.in;
      sample.out += rates.out;
      sample.clients += listener.clients;
    }
    this.samples.push(sample);
    this.samples = this.samples.filter((one) => one.at > at - kWindow && one.at <= at);
  }

  now() {
    return this.samples.at(-1) || {in: 0, out: 0, clients: 0};
  }
}

function sparkline(samples, name) {
  const top = Math.max(...samples.map((sample) => sample[name]), 1);
  const end = samples.length ? samples.at(-1).at : 0;
  const x = (sample) => (120 * (1 - (end - sample.at) / kWindow)).toFixed(1);
  const points = samples.map((sample) => x(sample) + ',' + (27 - (sample[name] / top) * 24).toFixed(1));
  const area = points.length > 1 ? [x(samples[0]) + ',28', ...points, '120,28'].join(' ') : '';
  return h('svg', {class: 'spark', viewBox: '0 0 120 28', preserveAspectRatio: 'none',
                   'aria-hidden': 'true'},
           h('line', {x1: 0, y1: 27.5, x2: 120, y2: 27.5}),
           h('polygon', {points: area}),
           h('polyline', {points: points.length > 1 ? points.join(' ') : ''}));
}

function figure(label, value, title, spark, extra) {
  return h('div', {class: 'figure', key: label}, h('dt', {}, label),
           h('dd', {title}, value, extra ? h('small', {}, ' ' + extra) : null), spark);
}

function headline(cluster) {
  if (!cluster.first_round_done) return ['Nothing is known yet'];
  if (!cluster.primary) return ['There is no primary'];
  return [h('span', {class: 'primary-name'}, cluster.primary), ' is the primary',
          cluster.fence_seconds === null ? null : h('span', {class: 'unproven'}, ', unproven')];
}

function subline(status, cluster) {
  const parts = [];
  if (cluster.primary && cluster.primary_since) {
    parts.push(h('span', {title: cluster.primary_since},
                 'for ' + age(secondsBetween(cluster.primary_since, status.generated_at))));
  }
  if (cluster.timeline) parts.push(h('span', {}, 'timeline ' + cluster.timeline));
  const staying = status.nodes.filter((node) => !node.leaving);
  const answering = staying.filter((node) => (node.check_history || '').endsWith('1')).length;
  if (staying.some((node) => node.check_history)) {
    parts.push(h('span', {}, answering === staying.length
      ? (answering === 1 ? 'the only node answers' : 'all ' + answering + ' nodes answer')
      : answering + ' of ' + plural(staying.length, 'node') + ' answer'));
  }
  const leaving = status.nodes.length - staying.length;
  if (leaving) parts.push(h('span', {}, leaving + ' leaving'));
  if (cluster.paused) parts.push(h('span', {}, 'paused'));
  return parts;
}

function clusterHeadline(status, cluster) {
  const name = cluster.name || cluster.scope;
  return h('div', {class: 'headline', key: 'headline ' + cluster.name},
           h('p', {class: 'eyebrow'}, name ? 'Cluster ' : 'Cluster', name ? h('b', {}, name) : null),
           h('h1', {class: cluster.first_round_done && !cluster.primary ? 'bad' : null},
             ...headline(cluster)),
           h('p', {class: 'sub'}, subline(ofCluster(status, cluster), cluster)));
}

export function overview(status, traffic) {
  const now = traffic.now();
  const held = status.listeners.reduce((sum, listener) => sum + listener.held_clients, 0);
  const clients = status.listeners.reduce((sum, listener) => sum + listener.clients, 0);
  return [
    ...status.clusters.map((cluster) => clusterHeadline(status, cluster)),
    h('dl', {class: 'figures', key: 'figures'},
      figure('Clients', count(clients), exact(clients) + ' connected clients',
             sparkline(traffic.samples, 'clients'), held ? count(held) + ' waiting' : ''),
      figure('From clients', bytes(now.in) + '/s', exact(Math.round(now.in)) + ' bytes per second',
             sparkline(traffic.samples, 'in')),
      figure('To clients', bytes(now.out) + '/s', exact(Math.round(now.out)) + ' bytes per second',
             sparkline(traffic.samples, 'out'))),
  ];
}
