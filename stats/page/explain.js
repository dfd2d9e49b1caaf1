// What each red or amber light means and what to do about it, in words. judgement.js decides which
// light is on. Texts that change from second to second do not belong here.

// By a verdict's reason.
const kReasons = {
  promoting: 'It has the leader lease and becomes the primary. This takes seconds; if it stays, ' +
      'read PostgreSQL\'s log on the node.',
  silent: 'Patroni\'s REST API does not answer in time. Check the Patroni service on the node and ' +
      'the network to it.',
  orphaned: 'PostgreSQL runs, but Patroni does not answer. pgsteer uses the node until its lease ' +
      'may have passed to another one. Restart Patroni on the node.',
  maintenance: 'Patroni does not answer, but the cluster is in maintenance mode, so no other node ' +
      'can take over. Start Patroni again before you end the maintenance.',
  witnessed: 'Patroni hangs on this node; another member confirms that it is still the leader. ' +
      'Look at Patroni\'s log and at the load of the node.',
  trial: 'Patroni hangs on this node and one member names it as the leader. New sessions go there ' +
      'one at a time until one of them finds that it takes writes. Restart Patroni on the node.',
  uncheckable: 'TLS to the REST API fails on every node, so that none can be asked. The primary stays ' +
      'as long as its PostgreSQL answers, but no failover would be noticed. Check the certificates ' +
      'and the settings under [health].',
  lagging: 'It has not replayed enough WAL for this listener\'s max_lag and gets no new sessions ' +
      'until it catches up. Look for long queries, slow disks or a slow network.',
  not_streaming: 'It receives no WAL from the primary. Read PostgreSQL\'s log on the node: the ' +
      'connection to the primary or a missing WAL segment is the usual cause.',
  fallback: 'No replica can serve reads, so they go to the primary. Repair a replica.',
  degraded: 'Patroni answers, but it cannot query PostgreSQL. Look at PostgreSQL\'s log, at ' +
      'max_connections and at the load of the node.',
  not_running: 'Patroni answers, but PostgreSQL does not run normally. Run patronictl list and ' +
      'read PostgreSQL\'s log on the node.',
  down: 'The machine is off, the network to it is broken, or both services have stopped. Start ' +
      'Patroni on the node, or check its host and rest settings.',
  unresolved: 'Its host name has no address. Check the node\'s host setting and the DNS servers of ' +
      'this machine.',
  fenced: 'Nothing confirms that it is still the primary, and its lease may have passed to another ' +
      'node. pgsteer has ended its sessions. Start Patroni on the node or repair the network.',
  lost_role: 'It was the primary and says that it is not any more. That is normal for seconds ' +
      'after a switchover; if it stays, run patronictl list.',
  superseded: 'It was the primary until another node was promoted. It must rejoin as a replica; if ' +
      'it does not, read Patroni\'s log on the node.',
  stale_timeline: 'It claims to be the primary, but another node has a newer history. Nothing is ' +
      'sent there. Find out which data is right before you rejoin it.',
  foreign: 'It belongs to a different PostgreSQL cluster than the other nodes. Check the host and ' +
      'rest settings of the node.',
};

// What a reload has removed from the configuration file and still has sessions; on a node, the reason
// of its verdicts is "removed". No trouble.
export const kLeaving = {
  node: 'Removed from the configuration: it gets no new sessions, and those that it has go on until ' +
      'they end or drain_timeout is over.',
  listener: 'Removed from the configuration: its addresses are closed, and its sessions go on until ' +
      'they end.',
};

// By a node's role, where no verdict says more.
const kRoles = {down: kReasons.down, stopped: kReasons.not_running, foreign: kReasons.foreign,
                silent: kReasons.silent, promoting: kReasons.promoting};

export function explainVerdict(verdict) {
  return kReasons[verdict.reason] || '';
}

export function explainRole(role) {
  return kRoles[role] || '';
}

// By banner.
export const kBannerAdvice = {
  lost: 'Check that pgsteer runs and that this browser can reach it.',
  checksStopped: 'This is trouble of pgsteer or its machine, not of the cluster. Look at the load ' +
      'of the machine and at pgsteer\'s log; if it stays, restart pgsteer.',
  noPrimary: 'A failover normally takes less than a minute. If it takes longer, run patronictl ' +
      'list: without a leader there, read Patroni\'s log on the nodes. Under Nodes, each card says ' +
      'why the node is not used.',
  unserved: 'Clients wait, and are refused when their time is up. Under Nodes, each card says why ' +
      'this listener does not use the node.',
  alarm: 'pgsteer sends no sessions to a node whose claim it cannot trust. Run patronictl list and ' +
      'look at the node named here. Do not restart or rebuild anything before you know which node ' +
      'has the newest data.',
  localFault: 'pgsteer itself cannot ask the nodes, most likely for want of file descriptors. Raise ' +
      'LimitNOFILE, or close what takes them; the log says what the limit allows.',
  fence: 'Patroni on the primary does not answer. Check that it runs and that this machine can ' +
      'reach its REST API.',
  paused: 'When the work is done, end it with patronictl resume.',
  dcs: 'No failover is possible meanwhile, and the primary may step down. Check etcd, Consul or ' +
      'ZooKeeper and the network to it.',
  dcsFailsafe: 'No failover is possible meanwhile. Check etcd, Consul or ZooKeeper and the network ' +
      'to it.',
  reload: 'Correct it, run pgsteer check and reload again. Do so before pgsteer is restarted: a ' +
      'restart reads the same file.',
  closed: 'New connections are refused at once, so that clients try their next host. Under Nodes, ' +
      'each card says why the node is not used.',
};

export const kFailoverAdvice = 'Clients wait until a node takes writes. The steps show what has ' +
    'happened so far.';
