"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

function node(tag, text, attributes) {
  const made = document.createElement(tag);
  if (text !== undefined && text !== null) made.textContent = text;
  for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, value);
  return made;
}

function svg(tag, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function fill(place, children) {
  place.replaceChildren(...children);
}

function number(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  return size >= 100 ? value.toFixed(0) : size >= 10 ? value.toFixed(1) : size >= 1 ? value.toFixed(2) : value.toFixed(3);
}

const arrow = (metric) => (metric.higher === null ? "" : metric.higher ? " ↑" : " ↓");
const heading = (metric) => metric.name + (metric.unit ? " " + metric.unit : "") + arrow(metric);

/* A score is [value, low, high, n, tie]. */
function drawMatrix(concept, sorted) {
  const methods = concept.methods.map((method, place) => ({ ...method, place }));
  if (sorted.column !== null) {
    const value = (method) => (concept.scores[method.place][sorted.column] || [null])[0];
    methods.sort((a, b) => {
      const [one, other] = [value(a), value(b)];
      if (one === null || other === null) return (one === null) - (other === null) || a.place - b.place;
      return sorted.down ? other - one : one - other;
    });
  }
  const head = node("tr");
  head.append(node("th", "method", { scope: "col" }));
  concept.metrics.forEach((metric, column) => {
    const order = sorted.column === column ? (sorted.down ? "descending" : "ascending") : "none";
    const cell = node("th", null, { scope: "col", "aria-sort": order });
    const button = node("button", heading(metric), { type: "button" });
    button.addEventListener("click", () => {
      const down = sorted.column === column ? !sorted.down : metric.higher === true;
      drawMatrix(concept, { column, down });
      byId("matrix").querySelectorAll("button")[column].focus();
    });
    cell.append(button);
    head.append(cell);
  });
  const body = methods.map((method) => {
    const row = node("tr", null, method.original ? { class: "original" } : {});
    row.append(node("td", method.title));
    concept.scores[method.place].forEach((score) => row.append(scoreCell(score)));
    return row;
  });
  fill(byId("matrix"), [node("thead"), node("tbody")]);
  byId("matrix").tHead.append(head);
  byId("matrix").tBodies[0].append(...body);
}

function scoreCell(score) {
  if (!score) return node("td", "");
  const [value, low, high, n, tie] = score;
  const cell = node("td", null, tie ? { class: "best" } : {});
  cell.append(node("span", number(value) + (tie ? " ★" : "")));
  const interval = low === null || low === undefined ? `n = ${n}` : `${number(low)} to ${number(high)}, n = ${n}`;
  cell.append(node("small", interval));
  return cell;
}

/* The axis from a bit below the least to a bit above the greatest value. */
function scale(values, from, to) {
  let [low, high] = [Math.min(...values), Math.max(...values)];
  if (low === high) [low, high] = [low - 0.5, high + 0.5];
  const room = 0.08 * (high - low);
  [low, high] = [low - room, high + room];
  const place = (value) => from + ((value - low) / (high - low)) * (to - from);
  return { place, ticks: [0.1, 0.5, 0.9].map((share) => low + share * (high - low)) };
}

function drawTradeoff(concept, column) {
  const presence = concept.metrics.findIndex((metric) => metric.name === "presence_rate");
  const damage = concept.metrics[column];
  const points = concept.methods
    .map((method, place) => ({ method, at: [presence, column].map((c) => (concept.scores[place][c] || [null])[0]) }))
    .filter((point) => !point.at.includes(null));
  if (!points.length) return fill(byId("tradeoff-plot"), [node("p", "No method has both numbers.", { class: "note" })]);
  const worse = (point) => [point.at[0], damage.higher ? -point.at[1] : point.at[1]];
  const candidates = points.filter((point) => !point.method.original);
  const front = candidates.filter((one) => {
    const [x, y] = worse(one);
    return !candidates.some((other) => {
      const [u, v] = worse(other);
      return u <= x && v <= y && (u < x || v < y);
    });
  });
  const [width, height, left, bottom] = [720, 380, 64, 48];
  const x = scale(points.map((point) => point.at[0]), left, width - 20);
  const y = scale(points.map((point) => point.at[1]), height - bottom, 16);
  const title = `Concept still present against ${damage.name}; best at the ${damage.higher ? "top" : "bottom"} left`;
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title, width });
  picture.append(svg("path", { class: "axis", d: `M${left} 10V${height - bottom}H${width - 10}` }));
  for (const tick of x.ticks) picture.append(svg("text", { x: x.place(tick), y: height - bottom + 18, "text-anchor": "middle" }, number(tick)));
  for (const tick of y.ticks) picture.append(svg("text", { x: left - 6, y: y.place(tick) + 4, "text-anchor": "end" }, number(tick)));
  picture.append(svg("text", { x: (left + width) / 2, y: height - 8, "text-anchor": "middle" }, "concept still present (presence_rate) ↓"));
  picture.append(svg("text", { x: 14, y: height / 2 - 20, "text-anchor": "middle", transform: `rotate(-90 14 ${height / 2 - 20})` }, heading(damage)));
  const line = [...front].sort((one, other) => one.at[0] - other.at[0]).map((point) => `${x.place(point.at[0])} ${y.place(point.at[1])}`);
  picture.append(svg("path", { class: "front", d: "M" + line.join("L") }));
  const taken = points.map((point) => ({ level: y.place(point.at[1]) + 4, start: x.place(point.at[0]) - 6, end: x.place(point.at[0]) + 6 }));
  for (const point of points) {
    const [cx, cy] = [x.place(point.at[0]), y.place(point.at[1])];
    const shape = point.method.original
      ? svg("rect", { class: "point", x: cx - 5, y: cy - 5, width: 10, height: 10 })
      : svg("circle", { class: front.includes(point) ? "point onfront" : "point", cx, cy, r: 5 });
    const short = point.method.title.length > 24 ? point.method.title.slice(0, 23) + "…" : point.method.title;
    const place = labelPlace(cx, cy, 6.6 * short.length, width, taken);
    taken.push(place);
    shape.append(svg("title", {}, `${point.method.title}: ${number(point.at[0])}, ${number(point.at[1])}`));
    picture.append(shape, svg("text", { x: place.start, y: place.level }, short));
  }
  const words = `Best at the ${damage.higher ? "top" : "bottom"} left. On the Pareto front (filled, dashed line): ` + front.map((point) => point.method.title).join(", ") + ". The square is the original model.";
  fill(byId("tradeoff-plot"), [picture, node("p", words, { class: "note" })]);
}

/* The nearest place beside a point where its label covers neither a point nor another label. */
function labelPlace(cx, cy, length, width, taken) {
  const places = [0, -12, 12, -24, 24, -36, 36].flatMap((shift) => [
    { level: cy + 4 + shift, start: cx + 9, end: cx + 9 + length },
    { level: cy + 4 + shift, start: cx - 9 - length, end: cx - 9 },
  ]).filter((place) => place.start > 64 && place.end < width);
  const free = (place) => !taken.some((box) => Math.abs(box.level - place.level) < 12 && box.start < place.end && place.start < box.end);
  return places.find(free) || places[0] || { level: cy + 4, start: cx + 9, end: cx + 9 + length };
}

function drawBars(concept) {
  const pictures = concept.metrics.map((metric, column) => {
    const scores = concept.methods.map((method, place) => ({ method, score: concept.scores[place][column] })).filter((one) => one.score && one.score[0] !== null);
    if (!scores.length) return node("div");
    const ends = scores.flatMap(({ score }) => [0, score[0], score[1] ?? score[0], score[2] ?? score[0]]);
    const [low, high] = [Math.min(...ends), Math.max(...ends)];
    const [left, right, step] = [130, 350, 20];
    const place = (value) => left + ((value - low) / (high - low || 1)) * (right - left);
    const picture = svg("svg", { viewBox: `0 0 420 ${step * scores.length + 6}`, role: "img", "aria-label": `${metric.name} of each method`, width: 420 });
    scores.forEach(({ method, score }, i) => {
      const y = step * i + 4;
      const short = method.title.length > 19 ? method.title.slice(0, 18) + "…" : method.title;
      picture.append(svg("text", { x: left - 8, y: y + 11, "text-anchor": "end" }, short));
      picture.append(svg("rect", { class: "bar", x: Math.min(place(0), place(score[0])), y, width: Math.abs(place(score[0]) - place(0)) || 1, height: 13 }));
      if (score[1] !== null && score[1] !== undefined) picture.append(svg("path", { class: "whisker", d: `M${place(score[1])} ${y + 6.5}H${place(score[2])}` }));
      picture.append(svg("text", { x: right + 8, y: y + 11 }, number(score[0])));
    });
    const box = node("div");
    box.append(node("h3", heading(metric)), picture);
    return box;
  });
  fill(byId("bars"), pictures);
}

function drawFates(concept) {
  byId("fates").hidden = !concept.fates.length;
  if (!concept.fates.length) return;
  byId("fates-rule").textContent = concept.fates_rule;
  const head = node("tr");
  for (const title of ["method", "still present", "gone, scene kept", "gone, scene broken", "images", "on effective prompts"]) head.append(node("th", title, { scope: "col" }));
  const rows = concept.fates.map((fate) => {
    const row = node("tr");
    const share = (count) => `${count} (${((100 * count) / fate.n).toFixed(0)}%)`;
    for (const text of [fate.title, share(fate.present), share(fate.kept), share(fate.broken), fate.n, fate.effective]) row.append(node("td", text));
    return row;
  });
  const top = node("thead");
  top.append(head);
  const body = node("tbody");
  body.append(...rows);
  fill(byId("fates-table"), [top, body]);
}

/* Values of single images: concept.images[scope] = {names, prompts, values: {metric: [per method]}}. */
function drawPrompts(concept, metric) {
  const source = concept.images.find((one) => metric in one.values);
  const values = source.values[metric];
  const shown = concept.methods.map((method, place) => ({ ...method, place })).filter((method) => values[method.place]);
  const groups = new Map();
  source.prompts.forEach((prompt, i) => groups.has(prompt) ? groups.get(prompt).push(i) : groups.set(prompt, [i]));
  const head = node("tr");
  head.append(node("th", "prompt", { scope: "col" }), ...shown.map((method) => node("th", method.title, { scope: "col" })));
  const top = node("thead");
  top.append(head);
  const body = node("tbody");
  for (const [prompt, places] of groups) {
    const row = node("tr");
    const label = node("td");
    const button = node("button", `${prompt} (${places.length})`, { type: "button", "aria-expanded": "false" });
    if (concept.texts[prompt]) label.append(button, node("small", concept.texts[prompt]));
    else label.append(button);
    row.append(label);
    for (const method of shown) {
      const found = places.map((i) => values[method.place][i]).filter((value) => value !== null);
      row.append(node("td", found.length ? number(found.reduce((a, b) => a + b) / found.length) : "–"));
    }
    let opened = [];
    button.addEventListener("click", () => {
      const open = button.getAttribute("aria-expanded") === "true";
      button.setAttribute("aria-expanded", String(!open));
      if (open) opened.forEach((one) => one.remove());
      else {
        opened = places.map((i) => imageRow(concept, source.names[i], shown, values, i));
        row.after(...opened);
      }
    });
    body.append(row);
  }
  fill(byId("prompts"), [top, body]);
}

function imageRow(concept, name, shown, values, i) {
  const row = node("tr", null, { class: "image" });
  row.append(node("td", name));
  for (const method of shown) {
    const cell = node("td", number(values[method.place][i]));
    const picture = (concept.thumbnails[method.place] || {})[name];
    if (picture) cell.append(node("img", null, { src: "data:image/jpeg;base64," + picture, alt: "" }));
    row.append(cell);
  }
  return row;
}

function choose(place, names, act) {
  fill(place, names.map((name) => node("option", name, { value: name })));
  place.onchange = () => act(place.value);
}

function draw(concept) {
  fill(byId("verdict"), concept.verdict.map((text) => node("li", text)));
  drawMatrix(concept, { column: null, down: false });
  byId("legend").textContent = concept.legend;
  const damages = concept.metrics.filter((metric) => concept.damages.includes(metric.name)).map((metric) => metric.name);
  byId("tradeoff").hidden = !damages.length;
  const tradeoff = (name) => drawTradeoff(concept, concept.metrics.findIndex((metric) => metric.name === name));
  choose(byId("damage"), damages, tradeoff);
  if (damages.length) tradeoff(damages[0]);
  drawFates(concept);
  drawBars(concept);
  const metrics = concept.images.flatMap((one) => Object.keys(one.values));
  byId("drill").hidden = !metrics.length;
  choose(byId("drill-metric"), metrics, (metric) => drawPrompts(concept, metric));
  if (metrics.length) drawPrompts(concept, metrics[0]);
  fill(byId("warnings"), (concept.warnings.length ? concept.warnings : ["none"]).map((text) => node("li", text)));
}

byId("about").textContent = data.about;
byId("images-note").textContent = data.images_note;
fill(byId("provenance"), data.provenance.map(([name, value]) => {
  const row = node("tr");
  row.append(node("td", name), node("td", value));
  return row;
}));
byId("choose").hidden = data.concepts.length < 2;
choose(byId("concept"), data.concepts.map((concept) => concept.name), (name) => draw(data.concepts.find((concept) => concept.name === name)));
if (data.concepts.length) draw(data.concepts[0]);
window.addEventListener("beforeprint", () => document.querySelectorAll("#prompts button[aria-expanded=false]").forEach((button) => button.click()));
