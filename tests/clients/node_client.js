// A session by node-postgres: told by libpq's environment variables where to, prints where it landed as JSON.
'use strict';

const assert = require('assert');
const fs = require('fs');
const { Client } = require('pg');

const env = process.env;
const big = 'x'.repeat(1000000);

function ssl() {
  if (env.PGSSLMODE === 'disable') return false;
  if (env.PGSSLMODE === 'verify-full') return { ca: fs.readFileSync(env.PGSSLROOTCERT), rejectUnauthorized: true };
  return { rejectUnauthorized: false };
}

async function main() {
  const client = new Client({
    host: env.PGHOST, port: Number(env.PGPORT), user: env.PGUSER, password: env.PGPASSWORD,
    database: env.PGDATABASE, ssl: ssl(),
  });
  await client.connect();
  const [address, standby, tls] = (await client.query({ text: env.LANDING, rowMode: 'array' })).rows[0];
  await assert.rejects(client.query('select 1/0'), { code: '22012' });
  assert.strictEqual((await client.query('select $1::text as value', [big])).rows[0].value, big);
  for (let number = 0; number < 20; ++number) {
    const sum = await client.query({ name: 'plus', text: 'select $1::int + 1 as sum', values: [number] });
    assert.strictEqual(sum.rows[0].sum, number + 1);
  }
  const rows = (await client.query('select generate_series(1, 10000) as n')).rows;
  assert.deepStrictEqual(rows.map((row) => row.n), Array.from({ length: 10000 }, (_, i) => i + 1));
  await client.end();
  console.log(JSON.stringify({ address, standby, tls }));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
