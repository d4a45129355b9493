"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

/* Texts become text nodes, never markup: names of files and methods are somebody else's. */
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

function row(cells, attributes) {
  const made = node("tr", null, attributes);
  made.append(...cells);
  return made;
}

/* The first column names the row. */
const rowHead = (text) => node("th", text, { scope: "row" });
const columnHead = (text) => node("th", text, { scope: "col" });

function fillTable(table, head, rows) {
  const [top, body] = [node("thead"), node("tbody")];
  top.append(row(head));
  body.append(...rows);
  table.replaceChildren(top, body);
}

function number(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

const percent = (share) => `${Math.round(100 * share)}%`;
const shorten = (text, length) => (text.length > length ? text.slice(0, length - 1) + "…" : text);
const arrow = (metric) => (metric.higher === null ? "" : metric.higher ? " ↑" : " ↓");
const heading = (metric) => metric.label + (metric.unit ? " " + metric.unit : "") + arrow(metric);
const column = (concept, name) => concept.metrics.findIndex((metric) => metric.name === name);

/* A score is [value, low, high, n, mark]; null where it was not computed, its value where it is not defined. */
const hasValue = (score) => Boolean(score) && score[0] !== null;
const hasInterval = (score) => score[1] !== null;

function drawMatrix(concept, sorted) {
  const places = concept.methods.map((_, place) => place);
  if (sorted.column !== null) {
    const value = (place) => (hasValue(concept.scores[place][sorted.column]) ? concept.scores[place][sorted.column][0] : null);
    places.sort((a, b) => {
      const [one, other] = [value(a), value(b)];
      if (one === null || other === null) return (one === null) - (other === null) || a - b;
      return (sorted.down ? other - one : one - other) || a - b;
    });
  }
  const heads = concept.metrics.map((metric, i) => {
    const order = sorted.column === i ? (sorted.down ? "descending" : "ascending") : "none";
    const cell = node("th", null, { scope: "col", "aria-sort": order });
    const button = node("button", heading(metric), { type: "button" });
    button.addEventListener("click", () => {
      /* First the best on top. */
      drawMatrix(concept, { column: i, down: sorted.column === i ? !sorted.down : metric.higher === true });
      byId("matrix").querySelectorAll("button")[i].focus();
    });
    cell.append(button);
    return cell;
  });
  const rows = places.map((place) => {
    const method = concept.methods[place];
    const cells = concept.scores[place].map((score) => scoreCell(score, concept.n));
    return row([rowHead(method.title), ...cells], method.original ? { class: "original" } : {});
  });
  fillTable(byId("matrix"), [columnHead("method"), ...heads], rows);
}

function scoreCell(score, usual) {
  if (!score) return node("td", "");
  const [value, low, high, n, mark] = score;
  const cell = node("td", null, mark === "★" ? { class: "best" } : {});
  cell.append(node("span", `${number(value)} ${mark}`.trim()));
  if (hasInterval(score)) cell.append(node("small", `[${number(low)}, ${number(high)}]`));
  if (n !== usual) cell.append(node("small", `n = ${n}`));
  return cell;
}

/* A linear axis over all values, with round ticks. */
function axis(values, from, to) {
  let [low, high] = [Math.min(...values), Math.max(...values)];
  if (low === high) [low, high] = [low - 0.5, high + 0.5];
  const room = 0.06 * (high - low);
  [low, high] = [low - room, high + room];
  const rough = (high - low) / 6;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough) * power;
  const ticks = [];
  for (let i = Math.ceil(low / step); i * step <= high; i++) ticks.push(i * step);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return { place: (value) => from + ((value - low) / (high - low)) * (to - from), ticks, label: (tick) => tick.toFixed(digits) };
}

function drawTradeoff(concept, name) {
  const [across, up] = [column(concept, "presence_rate"), column(concept, name)];
  const damage = concept.metrics[up];
  const choice = concept.damages.indexOf(name);
  const front = concept.fronts[choice];
  const points = concept.methods
    .map((method, place) => ({ ...method, place, x: concept.scores[place][across], y: concept.scores[place][up] }))
    .filter((point) => hasValue(point.x) && hasValue(point.y));
  const box = byId("tradeoff-plot");
  if (!points.length) return box.replaceChildren(node("p", "No method has both numbers.", { class: "note" }));
  const width = Math.max(300, Math.min(720, box.clientWidth || 720));
  const [height, left, bottom] = [Math.max(300, 0.62 * width), 62, 46];
  const ends = (key) => points.flatMap((point) => [point[key][0], ...(hasInterval(point[key]) ? point[key].slice(1, 3) : [])]);
  const x = axis(ends("x"), left, width - 12);
  const y = axis(ends("y"), height - bottom, 12);
  const best = front.length ? `Best at the ${damage.higher ? "top" : "bottom"} left.` : "No front: one of the two ranks no method, or no method has both.";
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Concept still present against ${name}. ${best}`, width });
  for (const tick of x.ticks) {
    picture.append(svg("path", { class: "grid", d: `M${x.place(tick)} 10V${height - bottom}` }));
    picture.append(svg("text", { class: "tick", x: x.place(tick), y: height - bottom + 17, "text-anchor": "middle" }, x.label(tick)));
  }
  for (const tick of y.ticks) {
    picture.append(svg("path", { class: "grid", d: `M${left} ${y.place(tick)}H${width - 8}` }));
    picture.append(svg("text", { class: "tick", x: left - 6, y: y.place(tick) + 4, "text-anchor": "end" }, y.label(tick)));
  }
  picture.append(svg("path", { class: "axis", d: `M${left} 10V${height - bottom}H${width - 8}` }));
  picture.append(svg("text", { x: (left + width) / 2, y: height - 8, "text-anchor": "middle" }, `concept still present, ${heading(concept.metrics[across])}`));
  picture.append(svg("text", { x: 14, y: height / 2 - 20, "text-anchor": "middle", transform: `rotate(-90 14 ${height / 2 - 20})` }, heading(damage)));
  const at = (point) => [x.place(point.x[0]), y.place(point.y[0])];
  for (const point of points) {
    const [cx, cy] = at(point);
    if (hasInterval(point.x)) picture.append(svg("path", { class: "arm", d: `M${x.place(point.x[1])} ${cy}H${x.place(point.x[2])}` }));
    if (hasInterval(point.y)) picture.append(svg("path", { class: "arm", d: `M${cx} ${y.place(point.y[1])}V${y.place(point.y[2])}` }));
  }
  const line = front.map((place) => at(points.find((point) => point.place === place)).join(" "));
  if (line.length) picture.append(svg("path", { class: "front", d: "M" + line.join("L") }));
  const taken = points.map((point) => ({ level: at(point)[1] + 4, start: at(point)[0] - 6, end: at(point)[0] + 6 }));
  for (const point of points) {
    const [cx, cy] = at(point);
    const shape = point.original
      ? svg("rect", { class: "point", x: cx - 5, y: cy - 5, width: 10, height: 10 })
      : svg("circle", { class: front.includes(point.place) ? "point onfront" : "point", cx, cy, r: 5 });
    const short = shorten(point.title, 24);
    const label = labelPlace(cx, cy, 6.6 * short.length, left, width, taken);
    taken.push(label);
    shape.append(svg("title", {}, `${point.title}: ${number(point.x[0])}, ${number(point.y[0])}`));
    if (label.level !== cy + 4) picture.append(svg("path", { class: "leader", d: `M${cx} ${cy}L${label.start < cx ? label.end : label.start} ${label.level - 4}` }));
    picture.append(shape, svg("text", { x: label.start, y: label.level }, short));
  }
  const names = front.map((place) => concept.methods[place].title).join(", ");
  const words = `${damage.label}: ${concept.directions[choice]}. ${best}${names ? ` ${concept.front} On it: ${names}.` : ""} Square: the original model. Lines: 95% intervals, where there are any.`;
  box.replaceChildren(picture, node("p", words, { class: "note" }));
}

/* The nearest place beside a point where its label covers neither a point nor another label. */
function labelPlace(cx, cy, length, left, width, taken) {
  const places = [0, -12, 12, -24, 24, -36, 36].flatMap((shift) => [
    { level: cy + 4 + shift, start: cx + 9, end: cx + 9 + length },
    { level: cy + 4 + shift, start: cx - 9 - length, end: cx - 9 },
  ]).filter((place) => place.start > left && place.end < width);
  const free = (place) => !taken.some((box) => Math.abs(box.level - place.level) < 12 && box.start < place.end && place.start < box.end);
  return places.find(free) || places[0] || { level: cy + 4, start: left, end: left + length };
}

function drawBars(concept) {
  const boxes = concept.metrics.map((metric, i) => {
    const bars = concept.methods.map((method, place) => ({ method, score: concept.scores[place][i] })).filter((bar) => hasValue(bar.score));
    if (!bars.length) return null;
    const ends = bars.flatMap(({ score }) => [0, score[0], ...(hasInterval(score) ? score.slice(1, 3) : [])]);
    const [low, high] = [Math.min(...ends), Math.max(...ends)];
    const [left, right, step] = [150, 356, 20];
    const place = (value) => left + ((value - low) / (high - low || 1)) * (right - left);
    const picture = svg("svg", { viewBox: `0 0 420 ${step * bars.length + 4}`, role: "img", "aria-label": `${metric.name} of each method, with intervals`, width: 420 });
    bars.forEach(({ method, score }, k) => {
      const top = step * k + 3;
      const label = svg("text", { x: left - 8, y: top + 11, "text-anchor": "end" }, shorten(method.title, 22));
      label.append(svg("title", {}, method.title));
      picture.append(label);
      picture.append(svg("rect", { class: "bar", x: Math.min(place(0), place(score[0])), y: top, width: Math.abs(place(score[0]) - place(0)) || 1, height: 14 }));
      if (hasInterval(score)) picture.append(svg("path", { class: "whisker", d: `M${place(score[1])} ${top + 7}H${place(score[2])}M${place(score[1])} ${top + 4}v6M${place(score[2])} ${top + 4}v6` }));
      picture.append(svg("text", { x: right + 8, y: top + 11 }, `${number(score[0])} ${score[4]}`.trim()));
    });
    const box = node("div");
    box.append(node("h3", heading(metric)), picture);
    return box;
  });
  byId("bars").replaceChildren(...boxes.filter(Boolean));
}

/* Kinds of fate: class, heading. */
const FATES = [["present", "present"], ["kept", "not seen, scene kept"], ["broken", "not seen, scene broken"], ["untold", "not seen, scene not told"]];

function swatch(kind) {
  const made = svg("svg", { class: "swatch", width: 12, height: 12, "aria-hidden": "true" });
  made.append(svg("rect", { class: `segment ${kind}`, width: 12, height: 12 }));
  return made;
}

function hatch() {
  const defs = svg("svg", { width: 0, height: 0, "aria-hidden": "true" });
  const pattern = svg("pattern", { id: "hatch", width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
  pattern.append(svg("path", { d: "M0 0V5" }));
  defs.append(pattern);
  return defs;
}

function drawFates(concept) {
  byId("fates").hidden = !concept.fates.length;
  byId("fates-rule").textContent = `How it is told: ${concept.fates_rule}.`;
  const heads = FATES.map(([kind, title]) => {
    const cell = columnHead(null);
    cell.append(swatch(kind), title);
    return cell;
  });
  const rows = concept.fates.map(([place, ...counts]) => {
    const n = counts.reduce((a, b) => a + b);
    const picture = svg("svg", { width: 240, height: 16, viewBox: "0 0 240 16", "aria-hidden": "true" });
    let start = 0;
    counts.forEach((count, i) => {
      const width = (240 * count) / n;
      if (count) picture.append(svg("rect", { class: `segment ${FATES[i][0]}`, x: start, y: 1, width, height: 14 }));
      start += width;
    });
    const bar = node("td");
    bar.append(picture);
    return row([rowHead(concept.methods[place].title), bar, ...counts.map((count) => node("td", `${count} (${percent(count / n)})`)), node("td", n)]);
  });
  fillTable(byId("fates-table"), [columnHead("method"), columnHead("images"), ...heads, columnHead("n")], rows);
}

function drawEffective(concept) {
  byId("effective").hidden = !concept.effective.length;
  byId("effective-note").textContent = concept.effective_note && `(${concept.effective_note})`;
  const rows = concept.effective.map(([place, plain, rate, prompts, n]) => {
    const texts = [percent(plain), rateText(rate), prompts, n];
    return row([rowHead(concept.methods[place].title), ...texts.map((text) => node("td", text))]);
  });
  const heads = ["method", "present, all prompts", "present, effective prompts", "effective prompts", "their images"];
  fillTable(byId("effective-table"), heads.map(columnHead), rows);
}

/* A button that shows rows below its own, made when they are first asked for, and hides them. */
function opener(text, make) {
  const button = node("button", text, { type: "button", "aria-expanded": "false" });
  let opened = [];
  button.addEventListener("click", () => {
    const open = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", String(!open));
    opened.forEach((one) => one.remove());
    opened = open ? [] : make();
    button.closest("tr").after(...opened);
  });
  return button;
}

const interval = (low, high) => (low === null ? "" : ` [${number(low)}, ${number(high)}]`);
const rateText = ([value, low, high]) => (value === null ? "–" : percent(value) + (low === null ? "" : ` [${percent(low)}, ${percent(high)}]`));

function drawJudges(concept) {
  const judges = concept.judges;
  byId("judges").hidden = !judges;
  if (!judges) return;
  const rates = judges.rates.map((row_, place) => row([rowHead(concept.methods[place].title), ...row_.map((score) => scoreCell(score, concept.n))], concept.methods[place].original ? { class: "original" } : {}));
  const names = judges.checkers.map((name, i) => name + (judges.unfit[i] ? " (unfit)" : ""));
  fillTable(byId("judges-rates"), [columnHead("presence rate by"), ...names.map(columnHead)], rates);
  byId("judges-unfit").replaceChildren(...judges.unfit.flatMap((why, i) => (why ? [node("li", `${judges.checkers[i]} is unfit: ${why}`)] : [])));
  drawAgreements(concept, judges.agreements);
  byId("by-threshold").hidden = !judges.curves.length;
  choose(byId("score"), judges.curves.map((curve) => curve.score), (i) => drawCurves(concept, judges.curves[i]));
  drawCorrected(concept, judges);
}

function drawAgreements(concept, { names, pairs }) {
  byId("agreement").hidden = !pairs.length;
  const heads = ["checkers", "kappa", "agree", "both present", "only the first", "only the second", "neither", "images"];
  const rows = pairs.map((pair) => {
    const head = rowHead(null);
    const title = `${pair.a} and ${pair.b}`;
    head.append(pair.differ.length ? opener(`${title} (${pair.differ.length + pair.more})`, () => [differRow(concept, names, pair, heads.length)]) : title);
    const kappa = pair.kappa === null ? "not defined: both say the same of every image" : number(pair.kappa) + interval(pair.ci_low, pair.ci_high);
    const [both, first, second, neither] = pair.counts;
    return row([head, ...[kappa, percent((both + neither) / pair.n), both, first, second, neither, pair.n].map((text) => node("td", text))]);
  });
  fillTable(byId("agreements"), heads.map(columnHead), rows);
}

function differRow(concept, names, pair, width) {
  const list = node("ul");
  list.append(node("li", "method, image: the one that sees the concept"));
  for (const [method, place, first] of pair.differ) {
    const item = node("li", `${concept.methods[method].title}, ${names[place]}: ${first ? pair.a : pair.b}`);
    const picture = concept.thumbnails.forgot[method][names[place]];
    if (picture) item.append(thumbnailOf(picture, `${concept.methods[method].title}, ${names[place]}`));
    list.append(item);
  }
  if (pair.more) list.append(node("li", `and ${pair.more} more, in images.parquet`));
  const cell = node("td", null, { colspan: width });
  cell.append(list);
  return row([cell]);
}

const thumbnailOf = (picture, alt) => node("img", null, { src: "data:image/jpeg;base64," + picture, alt });

/* Dashes tell lines apart without colour; labels at the left are moved apart, with a line to their own. */
const DASHES = ["none", "7 3", "2 3", "9 3 2 3"];

function drawCurves(concept, curve) {
  const box = byId("curves");
  const width = Math.max(300, Math.min(720, box.clientWidth || 720));
  const [height, left, bottom, step] = [Math.max(320, 20 * curve.methods.length + 70), Math.min(170, 0.38 * width), 44, 15];
  const right = width - 44;
  const x = (threshold) => left + ((threshold - curve.first) / (1 - curve.first)) * (right - left);
  const y = (rate) => height - bottom - rate * (height - bottom - 26);
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, role: "img", "aria-label": `Presence rate of each method by the threshold on ${curve.score}` });
  for (let tick = 0; tick <= 10; tick += 2) {
    picture.append(svg("path", { class: "grid", d: `M${left} ${y(tick / 10)}H${right}` }));
    picture.append(svg("text", { class: "tick", x: right + 6, y: y(tick / 10) + 4 }, percent(tick / 10)));
  }
  for (let tick = Math.ceil(curve.first * 10 - 1e-9); tick <= 10; tick += width < 500 ? 2 : 1) {
    picture.append(svg("text", { class: "tick", x: x(tick / 10), y: height - bottom + 16, "text-anchor": "middle" }, (tick / 10).toFixed(1)));
  }
  picture.append(svg("text", { x: (left + right) / 2, y: height - 8, "text-anchor": "middle" }, `threshold on the score ${curve.score}`));
  for (const [threshold, preset] of curve.marks) {
    const line = svg("path", { class: "threshold", d: `M${x(threshold)} 22V${height - bottom}` });
    line.append(svg("title", {}, preset));
    picture.append(line);
  }
  const lines = curve.methods.map((place, i) => ({ ...concept.methods[place], rates: curve.rates[i], dash: DASHES[i % DASHES.length] }));
  const labels = [...lines].sort((a, b) => b.rates[0] - a.rates[0]);
  let level = 12;
  labels.forEach((line, i) => {
    level = Math.min(Math.max(level + (i ? step : 0), y(line.rates[0]) + 4), height - bottom - step * (labels.length - 1 - i) + 8);
    line.level = level;
  });
  for (const line of lines) {
    const steps = line.rates.map((rate, i) => `${x(curve.first + i / 100)} ${y(rate)}`);
    const path = svg("path", { class: line.original ? "curve original" : "curve", "stroke-dasharray": line.dash, d: "M" + steps.join("L") });
    path.append(svg("title", {}, line.title));
    picture.append(path);
    picture.append(svg("path", { class: "leader", d: `M${left} ${y(line.rates[0])}L${left - 8} ${line.level - 4}` }));
    picture.append(svg("text", { x: left - 11, y: line.level, "text-anchor": "end" }, shorten(line.title, width < 500 ? 16 : 22)));
  }
  const marks = curve.marks.map(([threshold, preset]) => `${preset} ${threshold}`).join(", ");
  const words = `Share of the images whose score is above the threshold; thick: the original model.${marks ? ` Dotted: the presets, ${marks}.` : ""}`;
  const decides = curve.score === "multi_multiC" ? " It decides by the most probable class, not by a threshold: its rate may be on no point of the curve." : "";
  box.replaceChildren(picture, node("p", words + decides, { class: "note" }));
}

function drawCorrected(concept, { checkers, calibrated, corrected }) {
  byId("calibrated").hidden = !calibrated.length;
  const rows = calibrated.map(([name, sensitivity, specificity, n]) => row([rowHead(name), ...[rateText(sensitivity), rateText(specificity), n].map((text) => node("td", text))]));
  fillTable(byId("rightness"), ["checker", "sensitivity", "specificity", "labelled images"].map(columnHead), rows);
  const shown = checkers.map((_, i) => i).filter((i) => corrected.some((one) => one[1] === i));
  const cell = (method, checker) => {
    const found = corrected.find((one) => one[0] === method && one[1] === checker);
    return found && found[3] !== null ? node("td", `${percent(found[2])} → ${rateText(found.slice(3))}`) : node("td", "–");
  };
  const methods = concept.methods.map((_, place) => place).filter((place) => corrected.some((one) => one[0] === place));
  fillTable(byId("corrected"), [columnHead("method"), ...shown.map((i) => columnHead(checkers[i]))], methods.map((place) => row([rowHead(concept.methods[place].title), ...shown.map((i) => cell(place, i))])));
  const reasons = new Map();
  corrected.filter((one) => one[6]).forEach((one) => reasons.set(`${checkers[one[1]]}: ${one[6]}`, [...(reasons.get(`${checkers[one[1]]}: ${one[6]}`) || []), concept.methods[one[0]].title]));
  byId("uncorrected").replaceChildren(...[...reasons].map(([reason, titles]) => node("li", `${reason} (${titles.length === methods.length ? "every method" : titles.join(", ")})`)));
}

/* Values of single images: {scope, names, prompts, texts: {prompt: text}, values: {metric: [a list a method]}}. */
function drawPrompts(concept, name) {
  const source = concept.images.find((one) => name in one.values);
  const values = source.values[name];
  const shown = concept.methods.map((method, place) => ({ ...method, place })).filter((method) => values[method.place]);
  const prompts = new Map();
  source.prompts.forEach((prompt, i) => prompts.has(prompt) ? prompts.get(prompt).push(i) : prompts.set(prompt, [i]));
  const known = (i) => shown.some((method) => values[method.place][i] !== null);
  const rows = [...prompts].filter(([, images]) => images.some(known)).map(([prompt, images]) => {
    const head = rowHead(null);
    head.append(opener(`${prompt} (${images.length})`, () => images.map((i) => imageRow(concept, source, shown, values, i))));
    if (source.texts[prompt]) head.append(node("small", source.texts[prompt]));
    const means = shown.map((method) => {
      const found = images.map((i) => values[method.place][i]).filter((value) => value !== null);
      return node("td", found.length ? number(found.reduce((a, b) => a + b) / found.length) : "–");
    });
    return row([head, ...means]);
  });
  byId("texts-note").textContent = Object.keys(source.texts).length ? "Texts are the prompt set's: right only for images made with it." : "";
  byId("more-note").textContent = source.more ? `The first ${source.names.length} images; images.parquet has ${source.more} more.` : "";
  fillTable(byId("prompts"), ["prompt", ...shown.map((method) => method.title)].map(columnHead), rows);
}

function imageRow(concept, source, shown, values, i) {
  const name = source.names[i];
  const cells = shown.map((method) => {
    const cell = node("td", number(values[method.place][i]));
    const picture = concept.thumbnails[source.scope][method.place][name];
    if (picture) cell.append(thumbnailOf(picture, `${method.title}, ${name}`));
    return cell;
  });
  return row([rowHead(name), ...cells], { class: "image" });
}

function drawProvenance(groups) {
  const made = Object.entries(groups).map(([title, rows], i) => {
    const box = node("details", null, i ? {} : { open: "" });
    const scroll = node("div", null, { class: "scroll", tabindex: "0", role: "region", "aria-label": title });
    const table = node("table");
    table.append(...rows.map(([name, text]) => row([rowHead(name), node("td", text)])));
    scroll.append(table);
    box.append(node("summary", `${title} (${rows.length})`), scroll);
    return box;
  });
  byId("provenance").replaceChildren(...made);
}

/* Offer names in a select, and act on the first and on each that is chosen. */
function choose(place, names, act) {
  place.replaceChildren(...names.map((name) => node("option", name, { value: name })));
  place.onchange = () => act(place.selectedIndex);
  if (names.length) act(0);
}

function verdictItem(method, text) {
  const item = node("li");
  item.append(node("strong", method.title), ": " + text);
  return item;
}

function draw(concept) {
  byId("remarks").replaceChildren(...concept.remarks.map((text) => node("li", text)));
  byId("verdict").replaceChildren(...concept.methods.map((method, i) => verdictItem(method, concept.verdict[i])));
  byId("tradeoff").hidden = !concept.damages.length;
  choose(byId("damage"), concept.damages, (i) => drawTradeoff(concept, concept.damages[i]));
  drawMatrix(concept, { column: null, down: false });
  byId("legend").textContent = concept.legend;
  drawFates(concept);
  drawEffective(concept);
  drawJudges(concept);
  drawBars(concept);
  const metrics = concept.images.flatMap((one) => Object.keys(one.values));
  byId("drill").hidden = !metrics.length;
  choose(byId("drill-metric"), metrics, (i) => drawPrompts(concept, metrics[i]));
  const warnings = concept.warnings.length ? concept.warnings : ["none"];
  byId("warnings").replaceChildren(...warnings.map((text) => node("li", text)));
}

document.body.append(hatch());
byId("banner").textContent = data.banner;
byId("banner").hidden = !data.banner;
byId("about").textContent = data.about;
byId("images-note").textContent = data.images_note;
drawProvenance(data.provenance);
byId("choose").hidden = data.concepts.length < 2;
choose(byId("concept"), data.concepts.map((concept) => concept.name), (i) => draw(data.concepts[i]));
window.addEventListener("resize", () => ["damage", "score"].forEach((id) => byId(id).options.length && byId(id).onchange()));
window.addEventListener("beforeprint", () => {
  document.querySelectorAll("#prompts button[aria-expanded=false]").forEach((button) => button.click());
  document.querySelectorAll("details").forEach((box) => box.setAttribute("open", ""));
});
