// One card per listener: its clients, the nodes they use, the traffic, and how sessions ended.
import {h} from './dom.js';
import {kBannerAdvice, kLeaving} from './explain.js';
import {bytes, count, duration, exact, plural, words} from './format.js';
import {fullName, leavingLast} from './judgement.js';

// The upper bound of the bucket that `share` of the observations do not exceed.
function quantileBound(histogram, share) {
  const total = histogram.counts.reduce((sum, n) => sum + n, 0);
  if (total === 0) return null;
  let seen = 0;
  for (let i = 0; i < histogram.counts.length; i += 1) {
    seen += histogram.counts[i];
    if (seen >= share * total) return i < histogram.bounds.length
      ? '≤ ' + duration(histogram.bounds[i])
      : '> ' + duration(histogram.bounds.at(-1));
  }
  return null;
}

function figure(name, value, title, extra) {
  return h('div', {key: name}, h('dt', {}, name),
           h('dd', {title}, value, extra ? h('small', {}, ' ' + extra) : null));
}

function figures(listener, rates) {
  return h('dl', {class: 'listener-figures'},
           figure('Clients', count(listener.clients), exact(listener.clients) + ' connected clients'),
           figure('Most', count(listener.clients_most), exact(listener.clients_most) + ' at the same time'),
           figure('Total', count(listener.clients_total),
                  exact(listener.clients_total) + ' since the start'),
           figure('Waiting', count(listener.held_clients),
                  exact(listener.held_clients_total) + ' had to wait since the start',
                  listener.held_clients_total ? count(listener.held_clients_total) + ' in total' : ''),
           figure('From clients', bytes(rates.in) + '/s', exact(listener.bytes_in) + ' bytes since the start',
                  bytes(listener.bytes_in)),
           figure('To clients', bytes(rates.out) + '/s', exact(listener.bytes_out) + ' bytes since the start',
                  bytes(listener.bytes_out)));
}

function nodeRow(node, busiest, errors) {
  const share = busiest ? node.sessions / busiest : 0;
  return h('tr', {key: node.node},
           h('th', {scope: 'row', title: node.node}, node.node,
             node.leaving ? h('small', {}, ' leaving') : null),
           h('td', {class: 'now'},
             h('svg', {class: 'share', viewBox: '0 0 100 6', preserveAspectRatio: 'none',
                       'aria-hidden': 'true'},
               h('rect', {class: 'track', x: 0, y: 0, width: 100, height: 6}),
               h('rect', {class: 'level', x: 0, y: 0, width: (share * 100).toFixed(1), height: 6})),
             h('span', {}, count(node.sessions))),
           h('td', {class: 'most'}, count(node.sessions_most)),
           h('td', {title: exact(node.sessions_total)}, count(node.sessions_total)),
           h('td', {title: exact(node.bytes_in) + ' bytes'}, bytes(node.bytes_in)),
           h('td', {title: exact(node.bytes_out) + ' bytes'}, bytes(node.bytes_out)),
           errors ? h('td', {class: node.connect_errors_total ? 'notable' : null},
                      count(node.connect_errors_total)) : null);
}

function nodeTable(listener, leaving) {
  const all = listener.nodes.map((node) => ({...node, leaving: leaving.has(node.node)}));
  const isUsed = (node) => node.sessions_total || node.connect_errors_total;
  const used = leavingLast(all.filter(isUsed));
  if (!used.length) return h('p', {class: 'empty'}, 'No session has reached a node yet.');
  const busiest = Math.max(...used.map((node) => node.sessions));
  const unused = all.filter((node) => !isUsed(node) && !node.leaving).length;
  const errors = used.some((node) => node.connect_errors_total);
  const head = ['Node', 'Now', 'Most', 'Total', 'From clients', 'To clients'];
  if (errors) head.push('Connect errors');
  return [
    h('div', {class: 'scroll', key: 'table', role: 'region', tabindex: 0,
              'aria-label': 'Sessions of ' + listener.name + ' by node'},
      h('table', {},
        h('thead', {}, h('tr', {}, head.map((name) =>
          h('th', {scope: 'col', class: name === 'Most' ? 'most' : null}, name)))),
        h('tbody', {}, used.map((node) => nodeRow(node, busiest, errors))))),
    unused ? h('p', {class: 'note', key: 'unused'},
               plural(unused, 'more node') + ' without any session so far.') : null,
  ];
}

function row(name, items) {
  return h('div', {class: 'listener-row', key: name}, h('h4', {}, name), h('ul', {}, items));
}

function sessionEnds(listener) {
  const some = Object.entries(listener.session_ends).filter(([, number]) => number > 0)
      .sort(([, a], [, b]) => b - a);
  if (!some.length) return null;
  return row('Ended', some.map(([reason, number]) =>
    h('li', {key: reason, title: exact(number)}, words(reason), ' ', h('b', {}, count(number)))));
}

function timing(listener) {
  const line = (name, histogram) => {
    const half = quantileBound(histogram, 0.5);
    const most = quantileBound(histogram, 0.99);
    if (!half) return null;
    return h('li', {key: name}, name + ': median ', h('b', {}, half),
             most !== half ? [', 99\u00a0% ', h('b', {}, most)] : null);
  };
  const lines = [line('connect', listener.connect_seconds), line('wait for a node', listener.hold_seconds),
                 listener.cancels_total
                   ? h('li', {key: 'cancels', title: exact(listener.cancels_total)},
                       'cancels forwarded ', h('b', {}, count(listener.cancels_total)))
                   : null].filter(Boolean);
  return lines.length ? row('Timing', lines) : null;
}

const kTargets = {primary: 'the primary', replica: 'replicas', any: 'replicas and the primary',
                  sync: 'synchronous replicas', quorum: 'quorum replicas', async: 'asynchronous replicas'};

function closedOrLeaving(listener) {
  if (listener.leaving) {
    return {chip: h('span', {class: 'chip leaving', title: kLeaving.listener}, 'leaving'),
            note: h('p', {class: 'advice'}, h('b', {}, plural(listener.clients, 'client') + ' left. '),
                    kLeaving.listener)};
  }
  if (listener.open) return {chip: null, note: null};
  return {chip: h('span', {class: 'chip warn', title: kBannerAdvice.closed}, '◐ closed'),
          note: h('p', {class: 'advice'}, kBannerAdvice.closed)};
}

function card(listener, rates, leavingNodes) {
  const {chip, note} = closedOrLeaving(listener);
  return h('article', {class: 'card listener' + (listener.leaving ? ' leaving' : ''),
                       key: fullName(listener)},
           h('header', {}, h('h3', {title: listener.name}, listener.name),
             h('p', {class: 'bind'}, listener.bind.join(', ')),
             h('p', {class: 'target'}, 'routes to ' + (kTargets[listener.to] || listener.to),
               listener.cluster ? [' of ', h('b', {}, listener.cluster)] : null),
             chip),
           note,
           figures(listener, rates || {in: 0, out: 0}),
           nodeTable(listener, leavingNodes), sessionEnds(listener), timing(listener));
}

export function listeners(status, traffic) {
  const leavingNodes = (cluster) => new Set(
    status.nodes.filter((node) => node.leaving && node.cluster === cluster).map((node) => node.name));
  return leavingLast(status.listeners).map((listener) =>
    card(listener, traffic.rates.get(listener.name), leavingNodes(listener.cluster)));
}
