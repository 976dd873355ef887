// SPDX-License-Identifier: Apache-2.0
#include "control/status_page.h"

#include <array>
#include <string_view>

#include <fmt/format.h>
#include <openssl/evp.h>

namespace xlvs::control {
namespace {

constexpr std::string_view kStyle = R"css(
:root { color-scheme: light dark; --ink: #1c2024; --dim: #667; --paper: #fff; --card: #f5f6f8; --line: #d9dce1;
  --good: #18794e; --bad: #c62a2f; --odd: #a15c00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --dim: #9aa0a8; --paper: #15181b; --card: #1e2226;
  --line: #353a40; --good: #4cc38a; --bad: #ff6369; --odd: #f1a10d; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 72rem; background: var(--paper); color: var(--ink);
  font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.25rem; margin: 0 0 .25rem; } h2 { font-size: 1rem; margin: 0; }
section { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .75rem;
  margin: .75rem 0; overflow-x: auto; }
p { margin: .2rem 0; } .dim { color: var(--dim); } .good { color: var(--good); } .bad { color: var(--bad); }
.odd { color: var(--odd); } .state { font-weight: 600; }
.alert { border-color: var(--odd); border-left: .35rem solid var(--odd); }
.lost { border-color: var(--bad); border-left: .35rem solid var(--bad); }
table { border-collapse: collapse; width: 100%; margin-top: .4rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem .6rem .25rem 0; white-space: nowrap; }
th { color: var(--dim); font-weight: 500; border-bottom: 1px solid var(--line); } .num { text-align: right; }
@media (max-width: 40rem) { body { padding: .6rem; font-size: 14px; } .wide { display: none; } }
)css";

// Text reaches the page only through textContent: no string of the API is ever parsed as HTML.
constexpr std::string_view kScript = R"js(
'use strict';
const page = document.getElementById('page'), lost = document.getElementById('lost');
let previous = null, seen = null;

function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  if (attributes) node.className = attributes;
  for (const child of children) {
    if (child !== null && child !== undefined) node.append(child instanceof Node ? child : String(child));
  }
  return node;
}
function ago(seconds) {
  let s = Math.max(0, Math.floor(seconds));
  const parts = [['d', 86400], ['h', 3600], ['m', 60], ['s', 1]];
  let text = '', shown = 0;
  for (const [unit, size] of parts) {
    const n = Math.floor(s / size);
    s -= n * size;
    if (n > 0 || (unit === 's' && shown === 0)) { text += n + unit; shown += 1; }
    else if (shown > 0) shown += 1;
    if (shown === 2) break;
  }
  return text;
}
const number = (n) => Number(n).toLocaleString('en-US', { maximumFractionDigits: 0 });
function tone(state) {
  if (state === 'up' || state === 'native') return 'good';
  return ['down', 'no-route', 'forced-down'].includes(state) ? 'bad' : 'odd';
}
const state = (word) => el('span', 'state ' + tone(word), word);

// columns: [title, class, cell of a row]
function table(columns, rows) {
  const head = el('tr', '', ...columns.map(([title, look]) => el('th', look, title)));
  const body = rows.map((row) => el('tr', '', ...columns.map(([, look, cell]) => el('td', look, cell(row)))));
  return el('table', '', el('thead', '', head), el('tbody', '', ...body));
}
function perSecond(now, before, seconds, field) {
  if (!before || seconds <= 0) return '';
  const delta = now.traffic[field] - before.traffic[field];
  return delta < 0 ? '' : number(delta / seconds);
}
function service(s, now, seconds) {
  const old = previous && previous.services.find((o) => o.name === s.name);
  const of = (b) => old && old.backends.find((o) => o.address === b.address);
  return el('section', '',
    el('h2', '', s.name, ' ', el('span', 'dim', s.listeners.join(', '))),
    el('p', 'dim', s.scheduler + ', ' + s.forward + ', check ' + s.check,
      s.pool.state && s.pool.state !== 'up' ? el('span', '', ', pool ', state(s.pool.state)) : ''),
    table([
      ['Backend', '', (b) => b.address],
      ['State', '', (b) => state(b.state)],
      ['Since', 'dim', (b) => b.health.since > 0 ? ago(now - b.health.since) : ''],
      ['Weight', 'num', (b) => number(b.weight)],
      ['Active', 'num', (b) => number(b.active)],
      ['Inactive', 'num wide', (b) => number(b.inactive)],
      ['Flows/s', 'num', (b) => perSecond(b, of(b), seconds, 'flows')],
      ['Packets/s in', 'num wide', (b) => perSecond(b, of(b), seconds, 'in_packets')],
      ['Forward', 'wide', (b) => b.forward],
      ['Check', 'wide dim', (b) => b.why || b.health.detail || b.health.reason],
    ], s.backends));
}
function render(status) {
  const now = Date.now() / 1000, seconds = seen ? now - seen : 0;
  const parts = [
    el('h1', '', 'lvsd ', el('span', 'dim', status.version.instance)),
    el('p', 'dim', 'version ' + status.version.version + ', up ' + ago(now - status.started_at) +
      ', configuration ' + status.config.generation + ' loaded ' + ago(now - status.config.loaded_at) + ' ago'),
  ];
  if (status.warnings.length) parts.push(el('section', 'alert', ...status.warnings.map((w) => el('p', '', w))));
  parts.push(...status.services.map((s) => service(s, now, seconds)));
  parts.push(el('section', '', el('h2', '', 'Interfaces'), table([
    ['Name', '', (i) => i.name], ['XDP', '', (i) => state(i.mode)], ['Link', '', (i) => state(i.up ? 'up' : 'down')],
    ['Why', 'wide dim', (i) => i.mode_reason]], status.interfaces)));
  parts.push(el('section', '', el('h2', '', 'Flow table'), table([
    ['Family', '', (t) => t.family], ['Used', 'num', (t) => number(t.used)],
    ['Capacity', 'num', (t) => number(t.capacity)], ['Overflow', 'num', (t) => number(t.overflow_used)]],
    status.flow_tables)));
  const reasons = status.reasons.filter((r) => r.packets > 0);
  if (reasons.length) parts.push(el('section', '', el('h2', '', 'Packets not plainly forwarded'), table([
    ['Reason', '', (r) => r.name], ['Verdict', '', (r) => r.verdict], ['Packets', 'num', (r) => number(r.packets)],
    ['Meaning', 'wide dim', (r) => r.text]], reasons)));
  page.replaceChildren(...parts);
  document.title = 'lvsd ' + status.version.instance + (status.warnings.length ? ' (!)' : '');
  previous = status;
  seen = now;
}
async function refresh() {
  try {
    const answer = await fetch('/v1/status', { signal: AbortSignal.timeout(5000) });
    if (!answer.ok) throw new Error('HTTP ' + answer.status);
    render(await answer.json());
    lost.hidden = true;
  } catch (error) {
    lost.hidden = false;
    lost.textContent = 'No answer from lvsd (' + error.message + '); what is shown is ' +
      (seen ? ago(Date.now() / 1000 - seen) + ' old.' : 'not there yet.');
  }
  setTimeout(refresh, 2000);
}
refresh();
)js";

std::string sha256_base64(std::string_view text) {
  std::array<unsigned char, 32> digest{};
  EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
  std::array<unsigned char, 45> encoded{};
  const int size = EVP_EncodeBlock(encoded.data(), digest.data(), static_cast<int>(digest.size()));
  return {encoded.begin(), encoded.begin() + size};
}

}  // namespace

const std::string& status_page() {
  static const std::string page = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>lvsd</title><link rel=\"icon\" href=\"data:,\">\n<style>{}</style></head>\n"
      "<body><section id=\"lost\" class=\"lost\" hidden></section><main id=\"page\"></main>\n"
      "<noscript>This page needs JavaScript; the same as JSON: <a href=\"/v1/status\">/v1/status</a></noscript>\n"
      "<script>{}</script></body></html>\n",
      kStyle, kScript);
  return page;
}

const std::string& status_page_policy() {
  static const std::string policy = fmt::format(
      "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src 'self'; img-src data:; "
      "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      sha256_base64(kScript), sha256_base64(kStyle));
  return policy;
}

}  // namespace xlvs::control
