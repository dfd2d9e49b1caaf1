// What is trouble and what is not. Colour on the page comes from here alone: 'bad' wants somebody to
// act, 'warn' wants a look, 'ok' is work being done, 'none' is ordinary. A healthy replica that a
// port for the primary does not use is ordinary.

const kBadReasons = new Set(['down', 'fenced', 'superseded', 'stale_timeline', 'foreign',
                             'unresolved', 'not_running', 'lost_role']);
const kWarnReasons = new Set(['promoting', 'silent', 'orphaned', 'maintenance', 'witnessed',
                              'lagging', 'not_streaming', 'fallback', 'degraded']);

export function verdictLevel(verdict) {
  if (kBadReasons.has(verdict.reason)) return 'bad';
  if (kWarnReasons.has(verdict.reason)) return 'warn';
  return verdict.admission === 'admit' ? 'ok' : 'none';
}

const kBadRoles = new Set(['down', 'stopped', 'foreign']);
const kWarnRoles = new Set(['silent', 'promoting']);

export function nodeLevel(node) {
  const levels = node.verdicts.map(verdictLevel);
  if (kBadRoles.has(node.role) || levels.includes('bad')) return 'bad';
  if (kWarnRoles.has(node.role) || levels.includes('warn')) return 'warn';
  return 'none';
}

function isServed(status, listener) {
  return status.nodes.some((node) => node.verdicts.some((verdict) =>
    verdict.listener === listener.name && verdict.admission === 'admit'));
}

// What the node last said of itself may no longer be so.
export function isOutOfSight(node) {
  return node.role === 'down' || node.role === 'silent';
}

const kAdmissionWords = {admit: 'serves', drain: 'no new sessions', cut: 'not used'};

export function admissionWord(admission) {
  return kAdmissionWords[admission] || admission;
}

// Everything that a reader must not overlook, the worst first. `aside` may change from second to
// second; it is shown and not read out.
export function banners(status) {
  const cluster = status.cluster;
  const list = [];
  const add = (level, key, text, aside) => list.push({level, key, text, aside});
  if (!cluster.first_round_done) {
    add('info', 'unknown', 'The first round of checks is not done yet. Clients wait.');
  } else if (!cluster.primary) {
    const held = status.listeners.reduce((sum, listener) => sum + listener.held_clients, 0);
    add('bad', 'no-primary',
        'No primary' + (cluster.no_primary_why ? ': ' + cluster.no_primary_why : '') +
            '. Clients that want to write wait.',
        held ? held + ' waiting' : '');
  }
  if (cluster.first_round_done) {
    status.listeners.filter((listener) => !(listener.to === 'primary' && !cluster.primary) &&
                                          !isServed(status, listener)).forEach((listener) =>
      add('bad', 'unserved ' + listener.name,
          listener.name + ': no node takes new sessions at the moment.',
          listener.held_clients ? listener.held_clients + ' waiting' : ''));
  }
  cluster.alarms.forEach((alarm) => add('bad', 'alarm ' + alarm, alarm));
  if (cluster.fence_seconds !== null) {
    add('warn', 'fence',
        'The primary cannot be proven at the moment. Unless a proof comes in time, its sessions ' +
            'are cut before another node could take over.',
        Math.ceil(cluster.fence_seconds) + ' s left');
  }
  if (cluster.paused) {
    add('warn', 'paused', 'Maintenance mode: Patroni does not fail over while the cluster is paused.');
  }
  if (!cluster.dcs_ok) {
    add('warn', 'dcs', 'The members do not reach their configuration store' +
        (cluster.failsafe ? '; failsafe mode keeps the primary in place.' : '.'));
  }
  status.listeners.filter((listener) => !listener.open).forEach((listener) =>
    add('warn', 'closed ' + listener.name,
        listener.name + ' is closed until there is a node to lead to.'));
  if (cluster.hunting) {
    add('info', 'hunting', 'Something is in doubt: every node is being checked at a faster pace.');
  }
  return list;
}
