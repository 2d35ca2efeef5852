// The Offline Jobs page: the list of jobs, and one job. Everything that a user or a notebook wrote is
// put in as text (textContent), never as markup. News come by one event stream; while that is down
// the page asks every few seconds.

const meta = (name) => document.querySelector(`meta[name="${name}"]`).content;
const base = meta("base");
const hub = meta("hub");
const api = `${base}api/v1/`;
const ME = meta("user");
const POLL_SECONDS = 5;
const REOPEN_SECONDS = 15;
const LONGEST_LOG = 200_000;
const WORDS = {
  queued: "Waiting",
  starting: "Starting",
  running: "Running",
  cancelling: "Cancelling",
  succeeded: "Done",
  failed: "Failed",
  cancelled: "Cancelled",
};
const STATES = Object.keys(WORDS);
const byId = (id) => document.getElementById(id);
const ended = (job) => ["succeeded", "failed", "cancelled"].includes(job.state);

// ---- amounts in words --------------------------------------------------------------------------

function duration(seconds) {
  if (seconds > 0 && seconds < 0.05) return "under 0.1 s";
  if (seconds > 0 && seconds < 0.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.max(0, Math.round(seconds));
  const pair = (a, unit, b, small) => `${a} ${unit}${b ? ` ${b} ${small}` : ""}`;
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return pair(minutes, "min", minutes < 10 ? whole % 60 : 0, "s");
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return pair(hours, "h", minutes % 60, "min");
  return pair(Math.floor(hours / 24), "d", hours % 24, "h");
}

function number(value) {
  return value.toFixed(1).replace(/\.0$/, "");
}

function unitOf(bytes) {
  const found = [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]].find(([, f]) => bytes >= f);
  return found || ["bytes", 1];
}

function size(bytes, whole = 0) {
  const [unit, factor] = unitOf(whole || bytes);
  return whole ? `${number(bytes / factor)} of ${number(whole / factor)} ${unit}`
    : `${number(bytes / factor)} ${unit}`;
}

function moment(text) {
  const date = new Date(text);
  const days = (now() - date) / 86_400_000;
  const time = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  if (days < 6) return date.toLocaleString(undefined, { weekday: "short", ...time });
  return date.toLocaleString(undefined, { year: "numeric", month: "short", day: "numeric", ...time });
}

// ---- talking to the service --------------------------------------------------------------------

let skew = 0; // the service's clock minus ours, milliseconds
const now = () => Date.now() + skew;

class Refusal extends Error {
  constructor(status, body) {
    super(body.message || "The service did not answer. Nothing is lost: try again in a moment.");
    this.status = status;
    this.id = body.id;
  }
}

async function request(method, path, headers = {}) {
  const change = method === "GET" ? {}
    : { "Content-Type": "application/json", "X-XSRFToken": meta("xsrf") };
  let response;
  try {
    response = await fetch(api + path, {
      method,
      headers: { ...change, ...headers },
      body: method === "POST" ? "{}" : undefined,
    });
  } catch {
    throw new Refusal(0, { message: "The jobs service cannot be reached. Jobs go on; trying again …" });
  }
  const date = Date.parse(response.headers.get("date") || "");
  if (date && Math.abs(date - now()) > 3000) skew = date - Date.now();
  if (response.ok || response.status === 304) return response;
  if (response.status === 401) logInAgain();
  const body = await response.json().catch(() => ({}));
  throw new Refusal(response.status, body);
}

// The session has ended: a reload leads through the login and back; not in a circle.
function logInAgain() {
  const last = Number(sessionStorage.getItem("login") || 0);
  if (Date.now() - last < 20_000) return;
  sessionStorage.setItem("login", String(Date.now()));
  location.reload();
}

const keys = new Map(); // one key per wish, so that a repeated click makes no second job

function keyFor(wish) {
  if (!keys.has(wish)) {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    keys.set(wish, Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join(""));
  }
  return keys.get(wish);
}

// ---- small parts -------------------------------------------------------------------------------

function make(tag, text, attributes = {}) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function setState(element, state, kind = "") {
  element.classList.remove(...STATES);
  element.classList.add(state);
  if (!kind) setText(element, WORDS[state] || state);
}

function setBar(bar, job) {
  const { number: at, total } = job.cell;
  bar.hidden = !total;
  if (!total) return;
  const done = job.state === "succeeded" ? total : job.state === "running" ? at - 0.5 : at;
  setState(bar, job.state, "bar");
  bar.setAttribute("aria-valuemax", total);
  bar.setAttribute("aria-valuenow", job.state === "succeeded" ? total : at);
  bar.setAttribute("aria-label", `Cells of ${job.name}`);
  bar.firstElementChild.style.width = `${Math.max(0, Math.min(100, (100 * done) / total))}%`;
}

function trouble(error) {
  const box = byId("trouble");
  box.hidden = !error;
  setText(box, error ? error.message : "");
}

let toastTimer;

function toast(text, href) {
  const box = byId("toast");
  box.replaceChildren(make("span", text));
  if (href) box.append(" ", make("a", "Show it", { href }));
  box.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { box.hidden = true; }, 8000);
}

function confirmed(title, text, yes) {
  const dialog = byId("confirm");
  setText(byId("confirm-title"), title);
  setText(byId("confirm-text"), text);
  setText(byId("confirm-yes"), yes);
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

// Times that go on are written anew each second: elements with a function of their own.
const ticking = new Map();
setInterval(() => {
  for (const [element, text] of ticking) {
    if (element.isConnected) setText(element, text());
    else ticking.delete(element);
  }
}, 1000);

function tick(element, text) {
  ticking.set(element, text);
  setText(element, text());
}

function still(element, text) {
  ticking.delete(element);
  setText(element, text);
}

function showTime(element, job) {
  const since = (text) => () => duration((now() - new Date(text)) / 1000);
  if (ended(job)) still(element, moment(job.ended || job.created));
  else tick(element, since(job.started || job.created));
}

// ---- what can be done with a job ---------------------------------------------------------------

async function act(button, work) {
  button.disabled = true;
  try {
    await work();
    trouble(null);
  } catch (error) {
    trouble(error);
  } finally {
    button.disabled = false;
  }
}

function cancelButton(job, changed) {
  const button = make("button", "Cancel", { type: "button", "aria-label": `Cancel ${job.name}` });
  button.addEventListener("click", () => act(button, async () => {
    const sure = await confirmed(
      "Cancel this job?",
      `“${job.name}” stops; the cells that finished are kept.`,
      "Cancel the job",
    );
    if (!sure) return;
    changed(await (await request("POST", `jobs/${job.id}/cancel`)).json());
  }));
  return button;
}

function rerunButton(job, begun) {
  const button = make("button", "Rerun", {
    type: "button", "aria-label": `Rerun ${job.name}`,
    title: "Runs the notebook as it was submitted. As it is now, it is submitted from JupyterLab.",
  });
  button.addEventListener("click", () => act(button, async () => {
    const response = await request("POST", `jobs/${job.id}/rerun`, {
      "Idempotency-Key": keyFor(`rerun ${job.id}`),
    });
    keys.delete(`rerun ${job.id}`);
    begun(await response.json());
  }));
  return button;
}

function deleteButton(job, gone) {
  const button = make("button", "Delete record", { type: "button" });
  button.addEventListener("click", () => act(button, async () => {
    const sure = await confirmed(
      "Delete this record?",
      `“${job.name}” disappears from the list, with its log here. Files in your home stay.`,
      "Delete the record",
    );
    if (!sure) return;
    await request("DELETE", `jobs/${job.id}`);
    gone();
  }));
  return button;
}

function downloadLink(job, text) {
  return make("a", text, {
    class: "button",
    href: `${api}jobs/${job.id}/result`,
    download: "",
    "aria-label": `${text} of ${job.name}`,
  });
}

// ---- news --------------------------------------------------------------------------------------

// Keeps a view up to date. `query` narrows the stream, `refresh` reads everything anew.
function follow(query, { job, removed, refresh }) {
  let stream;
  let timer;
  let reopen;
  const poll = (on) => {
    clearInterval(timer);
    if (on) timer = setInterval(refresh, POLL_SECONDS * 1000);
  };
  const open = () => {
    stream = new EventSource(`${api}events${query}`);
    stream.addEventListener("open", () => { poll(false); refresh(); });
    stream.addEventListener("job", (event) => job(JSON.parse(event.data)));
    stream.addEventListener("removed", (event) => removed(JSON.parse(event.data).id));
    stream.addEventListener("resync", refresh);
    stream.addEventListener("error", () => {
      poll(true);
      if (stream.readyState === EventSource.CLOSED) {
        clearTimeout(reopen);
        reopen = setTimeout(open, REOPEN_SECONDS * 1000);
        refresh();
      }
    });
  };
  const close = () => {
    stream?.close();
    poll(false);
    clearTimeout(reopen);
  };
  // A browser has six connections for all pages of one place: what nobody sees must hold none, be
  // it a hidden tab or a page in the browser's cache. An opened stream reads everything anew.
  const look = () => {
    close();
    if (!document.hidden) open();
  };
  const lookAgain = (event) => { if (event.persisted) look(); };
  // A page of the hub shows in this browser that nobody is signed in (its `page.html`).
  const login = new BroadcastChannel("notebook-hpc-login");
  login.addEventListener("message", refresh);
  look();
  document.addEventListener("visibilitychange", look);
  addEventListener("pagehide", close);
  addEventListener("pageshow", lookAgain);
  return () => {
    document.removeEventListener("visibilitychange", look);
    removeEventListener("pagehide", close);
    removeEventListener("pageshow", lookAgain);
    login.close();
    close();
  };
}

const names = { classes: new Map(), images: new Map(), groups: new Map() };

async function loadNames() {
  try {
    const catalogue = await (await request("GET", "catalogue")).json();
    for (const kind of Object.keys(names)) {
      for (const item of catalogue[kind]) names[kind].set(item.slug, item.name);
    }
  } catch {
    // Without it the slugs are shown.
  }
}

const nameOf = (kind, slug) => names[kind].get(slug) || slug;

// ---- the list ----------------------------------------------------------------------------------

function showList() {
  const PAGE = 100;
  const body = byId("jobs").tBodies[0];
  const template = byId("row");
  const everybody = byId("everybody");
  const jobs = new Map();
  const rows = new Map();
  let etag = "";
  let cursor = null;
  let stopFollowing = () => {};
  const query = () => (everybody?.checked ? "?user=*" : "");

  function put(job) {
    jobs.set(job.id, job);
    let row = rows.get(job.id);
    if (!row) {
      row = template.content.firstElementChild.cloneNode(true);
      rows.set(job.id, row);
      insert(row, job);
    }
    fill(row, job);
  }

  // Newest first; rows that are there already stay where they are.
  function insert(row, job) {
    row.dataset.created = job.created;
    row.dataset.job = job.id;
    const after = [...body.rows].find((other) => other.dataset.created < job.created);
    body.insertBefore(row, after || null);
  }

  function fill(row, job) {
    const part = (name) => row.querySelector(`.${name}`);
    const link = part("name");
    setText(link, job.name);
    link.href = `${base}jobs/${job.id}`;
    setText(part("place"), job.owner === ME ? job.path : `${job.owner}: ${job.path}`);
    setState(part("state"), job.state);
    setText(part("sentence"), job.sentence);
    setBar(part("bar"), job);
    setText(part("machine"), nameOf("classes", job.class));
    showTime(part("since"), job);
    const kind = `${job.state} ${job.has_result}`;
    if (row.dataset.kind === kind) return; // leave a focused button alone
    row.dataset.kind = kind;
    part("do").replaceChildren(...buttons(job));
  }

  function buttons(job) {
    if (job.state === "cancelling") return [];
    if (!ended(job)) return [cancelButton(job, changed)];
    if (job.state === "succeeded" && job.has_result) return [downloadLink(job, "Download")];
    if (job.owner !== ME) return [];
    return [rerunButton(job, (fresh) => {
      changed(fresh);
      toast(`“${fresh.name}” runs again as it was submitted.`, `${base}jobs/${fresh.id}`);
    })];
  }

  function changed(job) {
    put(job);
    summarize();
  }

  function gone(id) {
    jobs.delete(id);
    rows.get(id)?.remove();
    rows.delete(id);
    summarize();
  }

  function summarize() {
    const count = (...states) => [...jobs.values()].filter((j) => states.includes(j.state)).length;
    const running = count("running", "starting", "cancelling");
    const parts = [[running, "running"], [count("queued"), "waiting"]]
      .filter(([n]) => n).map(([n, word]) => `${n} ${word}`);
    const more = cursor ? " or more" : "";
    const all = `${jobs.size}${more} ${jobs.size === 1 && !more ? "job" : "jobs"}`;
    setText(byId("summary"), jobs.size ? [...parts, all].join(" · ") : "");
    byId("jobs").hidden = !jobs.size;
    byId("empty").hidden = jobs.size > 0;
    byId("more").hidden = !cursor;
  }

  async function refresh() {
    try {
      const place = `jobs${query() || "?"}${query() ? "&" : ""}limit=${PAGE}`;
      const response = await request("GET", place, etag ? { "If-None-Match": etag } : {});
      trouble(null);
      if (response.status === 304) return;
      const page = await response.json();
      etag = response.headers.get("etag") || "";
      const seen = new Set(page.jobs.map((job) => job.id));
      const oldest = page.jobs.at(-1)?.created || "";
      for (const [id, job] of jobs) {
        if (!seen.has(id) && (!page.next_cursor || job.created > oldest)) gone(id);
      }
      if (jobs.size <= page.jobs.length) cursor = page.next_cursor;
      page.jobs.forEach(put);
      summarize();
    } catch (error) {
      if (!jobs.size) setText(byId("summary"), "");
      trouble(error);
    }
  }

  async function more() {
    const place = `jobs${query() || "?"}${query() ? "&" : ""}limit=${PAGE}&cursor=`;
    const page = await (await request("GET", place + encodeURIComponent(cursor))).json();
    cursor = page.next_cursor;
    page.jobs.forEach(put);
    summarize();
  }

  function begin() {
    stopFollowing();
    jobs.clear();
    rows.clear();
    body.replaceChildren();
    etag = "";
    cursor = null;
    refresh();
    stopFollowing = follow(query(), { job: changed, removed: gone, refresh });
  }

  everybody?.addEventListener("change", begin);
  byId("more").addEventListener("click", () => act(byId("more"), more));
  loadNames().then(() => jobs.forEach(put));
  begin();
}

// ---- one job -----------------------------------------------------------------------------------

function showJob(id) {
  let shown = null;
  let logTimer = null;
  // What its runner recorded; undefined until it was asked for, null where there is none.
  let record;

  function changed(job) {
    if (job.id !== id) return;
    shown = job;
    fill(job);
    logTimer ??= setTimeout(() => { logTimer = null; loadLog(job); }, 400);
  }

  function fill(job) {
    setState(byId("state"), job.state);
    if (ended(job)) still(byId("when"), whenEnded(job));
    else tick(byId("when"), () => whenOpen(job));
    const said = byId("said");
    said.hidden = false;
    setState(said, job.state, "notice");
    setText(byId("sentence"), job.sentence);
    setText(byId("next-step"), job.next_step || "");
    fillButtons(job);
    fillCells(job);
    fillFacts(job);
    if (ended(job) && record === undefined) loadRecord();
  }

  async function loadRecord() {
    record = null;
    try {
      const answer = await (await request("GET", `jobs/${id}/record`)).json();
      record = answer.record;
      setText(byId("methods"), answer.methods.trim());
      byId("methods-part").hidden = false;
      fillFacts(shown);
    } catch (error) {
      // A job that ended before its runner could say a word has none.
      if (error.status === 409 || error.status === 404) return;
      record = undefined;
      trouble(error);
    }
  }

  async function copyMethods() {
    const text = byId("methods");
    getSelection().selectAllChildren(text);
    await navigator.clipboard?.writeText(text.textContent);
    setText(byId("copy-methods"), navigator.clipboard ? "Copied" : "Selected");
  }

  const took = (job) => duration((new Date(job.ended) - new Date(job.started || job.created)) / 1000);

  function whenEnded(job) {
    const how = job.started ? `after ${took(job)}` : "before it began";
    return `${job.state === "succeeded" ? `in ${took(job)}` : how} · ${job.path} · ${moment(job.ended)}`;
  }

  function whenOpen(job) {
    const since = duration((now() - new Date(job.started || job.created)) / 1000);
    return `${job.started ? "for" : "waiting for"} ${since} · ${job.path}`;
  }

  function fillButtons(job) {
    const box = byId("do");
    const kind = `${job.state} ${job.has_result}`;
    if (box.dataset.kind === kind) return;
    box.dataset.kind = kind;
    const parts = [];
    const mine = job.owner === ME;
    if (job.has_result) {
      parts.push(downloadLink(job, ended(job) ? "Download result" : "Download what is done so far"));
    }
    if (ended(job) && mine && job.started) {
      const place = job.output_path.split("/").map(encodeURIComponent).join("/");
      parts.push(make("a", "Open in JupyterLab", {
        class: "button", href: `${hub}user-redirect/lab/tree/${place}`,
      }));
    }
    if (ended(job)) parts.push(deleteButton(job, () => location.assign(base)));
    if (ended(job) && mine) {
      const again = rerunButton(job, (fresh) => location.assign(`${base}jobs/${fresh.id}`));
      again.classList.add("primary");
      parts.push(again);
    }
    if (!ended(job) && job.state !== "cancelling") parts.push(cancelButton(job, changed));
    box.replaceChildren(...parts);
  }

  function fillCells(job) {
    const { number: at, total } = job.cell;
    byId("cells-part").hidden = !total;
    if (!total) return;
    setBar(byId("progress"), job);
    const seconds = job.cell_seconds;
    const longest = Math.max(...seconds, 0.001);
    const cells = byId("cells");
    const count = Math.min(total, 2000);
    cells.classList.toggle("many", count > 150);
    const bad = ["failed", "cancelled"].includes(job.state);
    const bars = Array.from({ length: count }, (_, index) => {
      const bar = make("i");
      const mark = index + 1 === at && !ended(job) ? "now" : index + 1 === at && bad ? "bad" : "";
      const done = index < seconds.length;
      const kind = mark || (done ? "done" : "none");
      bar.classList.add(kind);
      const height = done ? Math.max(8, (100 * seconds[index]) / longest) : mark ? 100 : 8;
      bar.style.height = `${height}%`;
      if (done) bar.title = `cell ${index + 1}: ${duration(seconds[index])}`;
      return bar;
    });
    cells.replaceChildren(...bars);
    const finished = bad && seconds.length >= at ? at - 1 : Math.min(seconds.length, total);
    const open = bad ? `, cell ${at} ${job.state === "failed" ? "failed" : "was cancelled"}`
      : at && !ended(job) ? `, cell ${at} is running` : "";
    const left = total - finished - (open ? 1 : 0);
    const words = `${total} cells: ${finished} done${open}${left > 0 ? `, ${left} not run` : ""}`;
    cells.setAttribute("aria-label", words);
    const scale = seconds.length ? `; height: time per cell (longest ${duration(longest)})` : "";
    setText(byId("cells-note"), words + scale);
  }

  function fillFacts(job) {
    const facts = [];
    const add = (term, ...what) => facts.push(make("dt", term), made(what));
    const made = (what) => {
      const dd = make("dd");
      dd.append(...what);
      return dd;
    };
    const given = Object.entries(job.parameters).map(([k, v]) => `${k} = ${JSON.stringify(v)}`);
    if (given.length) add("Parameters", given.join(", "));
    const own = Object.entries(record?.notebook_parameters ?? {}).filter(([, source]) => source);
    if (own.length) {
      add(given.length ? "As in the notebook" : "Parameters, as in the notebook",
        own.map(([k, source]) => `${k} = ${source}`).join(", "));
    }
    if (job.owner !== ME) add("Owner", job.owner);
    add("Image", nameOf("images", job.image));
    const home = job.kernel.source === "home" ? " (from the home)" : "";
    add("Kernel", `${job.kernel.name}${home}`);
    add("Machine", nameOf("classes", job.class));
    const { bytes, peak_bytes: peak, limit_bytes: limit } = job.memory;
    if (peak || bytes) add("Memory", ...memory(ended(job) ? peak : bytes, peak, limit));
    if (job.started) {
      add("Waited", duration((new Date(job.started) - new Date(job.created)) / 1000));
    }
    add("Time limit", duration(job.time_limit_seconds));
    add("Charged to", nameOf("groups", job.group));
    if (job.attempt > 1) add("Try", String(job.attempt));
    add("Submitted", moment(job.created), " · ", make("a", "the notebook as submitted", {
      href: `${api}jobs/${job.id}/notebook`, download: "",
    }));
    if (job.rerun_of) {
      add("Runs again", make("a", job.rerun_of, { href: `${base}jobs/${job.rerun_of}` }));
    }
    add(ended(job) ? "In your home" : "Will be in your home", job.output_path);
    byId("facts").replaceChildren(...facts);
  }

  function memory(bytes, peak, limit) {
    const parts = [limit ? size(bytes, limit) : size(bytes)];
    if (peak > bytes) parts[0] += `, peak ${size(peak)}`;
    if (limit) {
      const share = Math.min(100, (100 * bytes) / limit);
      const bar = make("div", undefined, { class: share > 90 ? "bar full" : "bar" });
      bar.append(make("i"));
      bar.firstElementChild.style.width = `${share}%`;
      parts.push(bar);
    }
    return parts;
  }

  // Colours and moving progress lines of a terminal are not for a page.
  function plain(text) {
    // eslint-disable-next-line no-control-regex
    const bare = text.replace(/\x1b\[[0-?]*[ -/]*[@-~]/g, "");
    return bare.split("\n").map((line) => line.replace(/\r+$/, "").split("\r").at(-1)).join("\n");
  }

  async function loadLog(job) {
    try {
      const text = await (await request("GET", `jobs/${id}/log`)).text();
      const log = byId("log");
      const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
      const lines = plain(text.slice(-LONGEST_LOG));
      setText(log, lines);
      if (atEnd) log.scrollTop = log.scrollHeight;
      const note = text.length > LONGEST_LOG ? "This is the end of the log; download it to see all."
        : lines.trim() ? "" : ended(job) ? "The job printed nothing." : "Nothing was printed so far.";
      setText(byId("log-note"), note);
    } catch (error) {
      trouble(error);
    }
  }

  async function refresh() {
    try {
      changed(await (await request("GET", `jobs/${id}`)).json());
      trouble(null);
    } catch (error) {
      if (error.status === 404) removed(id);
      else trouble(error);
    }
  }

  function removed(which) {
    if (which !== id) return;
    stopFollowing();
    trouble(new Error("The record of this job was deleted."));
    byId("do").replaceChildren();
  }

  byId("log-link").href = `${api}jobs/${id}/log`;
  byId("copy-methods").addEventListener("click", () => act(byId("copy-methods"), copyMethods));
  loadNames().then(() => shown && fillFacts(shown));
  const stopFollowing = follow(`?job=${id}`, { job: changed, removed, refresh });
  refresh();
}

// ------------------------------------------------------------------------------------------------

const article = byId("job");
if (article) showJob(article.dataset.job);
else showList();
