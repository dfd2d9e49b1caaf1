// What is trouble and what is not. All colour on the page comes from here: 'bad' means that somebody
// has to act, 'warn' that somebody should look, 'ok' that the node serves, 'none' that all is normal.
// A healthy replica that a listener for the primary does not use is normal. explain.js says in words
// what each light means.
import {kBannerAdvice} from './explain.js';
import {ago, secondsBetween} from './format.js';

const kBadReasons = new Set(['down', 'fenced', 'superseded', 'stale_timeline', 'foreign',
                             'unresolved', 'not_running', 'lost_role']);
const kWarnReasons = new Set(['promoting', 'silent', 'orphaned', 'maintenance', 'witnessed',
                              'trial', 'uncheckable', 'lagging', 'not_streaming', 'fallback',
                              'degraded']);

export function verdictLevel(verdict) {
  if (kBadReasons.has(verdict.reason)) return 'bad';
  if (kWarnReasons.has(verdict.reason)) return 'warn';
  return verdict.admission === 'admit' ? 'ok' : 'none';
}

const kBadRoles = new Set(['down', 'stopped', 'foreign']);
const kWarnRoles = new Set(['silent', 'promoting']);

// Of a verdict on this node. Whatever becomes of a node that leaves the configuration is no trouble.
export function levelOn(node, verdict) {
  return node.leaving ? 'none' : verdictLevel(verdict);
}

export function nodeLevel(node) {
  if (node.leaving) return 'none';
  const levels = node.verdicts.map(verdictLevel);
  if (kBadRoles.has(node.role) || levels.includes('bad')) return 'bad';
  if (kWarnRoles.has(node.role) || levels.includes('warn')) return 'warn';
  return 'none';
}

function isServed(status, listener) {
  return status.nodes.some((node) => node.verdicts.some((verdict) =>
    verdict.listener === listener.name && verdict.admission === 'admit'));
}

// Nodes or listeners: those that leave the configuration come last.
export function leavingLast(list) {
  return [...list].sort((a, b) => a.leaving - b.leaving);
}

// What is shown of the node comes from its last answer and may have changed since.
export function isOutOfSight(node) {
  return node.role === 'down' || node.role === 'silent';
}

// With a full stop, for more text to follow.
function sentence(text) {
  return /[.!?]$/.test(text) ? text : text + '.';
}

const kAdmissionWords = {admit: 'serves', drain: 'no new sessions', cut: 'not used'};

export function admissionWord(admission) {
  return kAdmissionWords[admission] || admission;
}

// Of a node or a listener, with the name of its cluster.
export const fullName = (one) => (one.cluster ? one.cluster + '/' : '') + one.name;

// The part of the status that is about one of its clusters.
export function ofCluster(status, cluster) {
  const its = (one) => one.cluster === cluster.name;
  return {...status, checks_stopped: cluster.checks_stopped, nodes: status.nodes.filter(its),
          listeners: status.listeners.filter(its)};
}

const kLevels = ['bad', 'warn', 'info'];

// Everything that a reader must not overlook, the worst first. `advice` says what to do. `aside` may
// change every second; it is shown, but screen readers do not announce it.
export function banners(status) {
  const list = status.clusters.filter((cluster) => !cluster.leaving).flatMap((cluster) =>
    clusterBanners(ofCluster(status, cluster), cluster));
  const {config} = status;
  if (config.last_reload_failed) {
    list.push({level: 'warn', key: 'reload', text: 'The last reload has failed and changed nothing: ' +
        sentence(config.last_reload_error), advice: kBannerAdvice.reload,
        aside: ago(secondsBetween(config.last_reload_at, status.generated_at))});
  }
  return list.sort((a, b) => kLevels.indexOf(a.level) - kLevels.indexOf(b.level));
}

function clusterBanners(status, cluster) {
  const staying = status.listeners.filter((listener) => !listener.leaving);
  const list = [];
  const prefix = cluster.name ? cluster.name + ': ' : '';  // alarms have it
  const add = (level, key, text, advice, aside) => list.push(
    {level, key: prefix + key, text: text.startsWith(prefix) ? text : prefix + text, advice, aside});
  if (status.checks_stopped) {
    add('bad', 'checks-stopped', 'pgsteer\'s checks of the nodes stand still: what the page shows of ' +
        'them is old. The primary\'s sessions have been ended, and clients that want to write wait.',
        kBannerAdvice.checksStopped);
  }
  if (!cluster.first_round_done) {
    add('info', 'unknown', 'The first round of checks is still running. Clients wait until it is ' +
        'finished.');
  } else if (!cluster.primary) {
    const held = status.listeners.reduce((sum, listener) => sum + listener.held_clients, 0);
    add('bad', 'no-primary',
        'No primary' + (cluster.no_primary_why ? ': ' + cluster.no_primary_why : '') +
            '. Clients that want to write wait.',
        kBannerAdvice.noPrimary, held ? held + ' waiting' : '');
  }
  const unserved = staying.filter((listener) => cluster.first_round_done &&
    !(listener.to === 'primary' && !cluster.primary) && !isServed(status, listener));
  unserved.forEach((listener) =>
    add('bad', 'unserved ' + listener.name,
        listener.name + ': no node takes new sessions at the moment.',
        listener.open ? kBannerAdvice.unserved : kBannerAdvice.closed,
        listener.held_clients ? listener.held_clients + ' waiting' : ''));
  cluster.alarms.forEach((alarm) => add('bad', 'alarm ' + alarm, sentence(alarm),
      alarm.includes(' cannot be checked: pgsteer: ') ? kBannerAdvice.localFault : kBannerAdvice.alarm));
  if (cluster.fence_seconds !== null) {
    add('warn', 'fence',
        'pgsteer cannot confirm the primary at the moment. Unless it can in time, it ends the ' +
            'primary\'s sessions before another node may take over.',
        kBannerAdvice.fence, Math.ceil(cluster.fence_seconds) + ' s left');
  }
  if (cluster.paused) {
    add('warn', 'paused', 'Maintenance mode: Patroni does not fail over while the cluster is paused.',
        kBannerAdvice.paused);
  }
  if (!cluster.dcs_ok) {
    add('warn', 'dcs', 'The members do not reach their configuration store' +
        (cluster.failsafe ? '; failsafe mode keeps the primary in place.' : '.'),
        cluster.failsafe ? kBannerAdvice.dcsFailsafe : kBannerAdvice.dcs);
  }
  staying.filter((one) => !one.open && !unserved.includes(one)).forEach((listener) =>
    add('warn', 'closed ' + listener.name,
        listener.name + ' is closed until a node can serve it.', kBannerAdvice.closed));
  if (cluster.hunting) {
    add('info', 'hunting', 'Something is in doubt: pgsteer checks all nodes more often than usual.');
  }
  return list;
}
