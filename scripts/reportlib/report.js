// Draws the charts with dygraphs in place of the static ones: drag to zoom, double-click for everything again. Charts of
// one run share zoom and cursor. Everything that a run wrote is in the JSON, and reaches the page as text only.
'use strict';
(function () {
  const charts = JSON.parse(document.getElementById('charts').textContent);
  const colour = name => getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim();

  function scaled(number, scales, digits) {
    const [scale, unit] = scales.find(one => Math.abs(number) >= one[0]) || scales[scales.length - 1];
    return +(number / scale).toPrecision(digits) + unit;
  }
  const units = {
    pps: (y, digits) => scaled(y, [[1e9, 'G'], [1e6, 'M'], [1e3, 'k'], [1, '']], digits),
    ns: (y, digits) => scaled(y, [[1e9, ' s'], [1e6, ' ms'], [1e3, ' us'], [1, ' ns']], digits),
    share: (y, digits) => Number((100 * y).toPrecision(digits)).toLocaleString('en', {maximumFractionDigits: 10}) + '%',
  };

  // A legend is markup to dygraphs: it is built of text nodes here.
  function legend(chart) {
    return data => {
      const box = document.createElement('div');
      const add = text => box.appendChild(document.createElement('span')).append(text);
      if (data.x !== undefined)
        add(chart.axis === 'percentile' ? units.share(1 - Math.pow(10, -data.x), 2 + Math.ceil(data.x)) : +data.x.toFixed(6) + ' s');
      data.series.forEach((one, number) => {
        const y = one.y === undefined || Number.isNaN(one.y) || one.y === null ? '' : ' ' + units[chart.unit](one.y, 4);
        add(one.label + y);
        const key = document.createElement('span');
        key.className = 'key c-' + chart.series[number].colour;
        box.lastChild.prepend(key);
      });
      return box.innerHTML;
    };
  }

  function mark(chart, context, area, graph) {
    context.save();
    context.strokeStyle = context.fillStyle = colour('quiet');
    context.setLineDash([4, 3]);
    context.font = '10px system-ui, sans-serif';
    for (const [at, what] of chart.events) {
      const x = graph.toDomXCoord(at);
      if (x < area.x || x > area.x + area.w) continue;
      context.beginPath();
      context.moveTo(x, area.y);
      context.lineTo(x, area.y + area.h);
      context.stroke();
      context.save();
      context.translate(x + 11, area.y + area.h - 4);
      context.rotate(-Math.PI / 2);
      context.fillText(what.slice(0, 30), 0, 0);
      context.restore();
    }
    context.restore();
  }

  const paint = chart => ({
    colors: chart.series.map(one => colour(one.colour)), gridLineColor: colour('rule'), axisLineColor: colour('quiet'),
  });

  function draw(chart, figure) {
    const labels = [chart.axis, ...chart.series.map(one => one.name)];
    const place = figure.querySelector('.live');
    place.hidden = false;
    const values = [].concat(...chart.rows.map(row => row.slice(1))).filter(one => one !== null);
    // Like the static chart: dygraphs alone would end at the highest value, and zoom out into nothing.
    const most = values.reduce((one, other) => Math.max(one, other), 0), least = values.reduce((one, other) => Math.min(one, other), most);
    const range = chart.stacked ? [0, 1] : chart.log ? [least * 0.9 || 1, most * 1.1 || 10]
      : [0, Math.max(most * 1.05, chart.unit === 'share' ? 0.001 : 1)];
    const x = {axisLabelWidth: 80, axisLabelFormatter: value => +value.toFixed(6) + ''};
    if (chart.ticks.length) {
      x.ticker = (low, high, pixels) => {
        const each = Math.ceil(chart.ticks.length * 80 / pixels);
        return chart.ticks.filter((_, number) => number % each === 0).map(([v, label]) => ({v, label}));
      };
    }
    const graph = new Dygraph(place, chart.rows, Object.assign(paint(chart), {
      labels, stepPlot: true, stackedGraph: chart.stacked, fillAlpha: 0.85, logscale: chart.log, valueRange: range,
      legend: 'always', labelsDiv: figure.querySelector('.legend'), legendFormatter: legend(chart),
      series: Object.fromEntries(chart.series.map(one => [one.name, {strokeWidth: one.width}])),
      axes: {x, y: {axisLabelFormatter: value => units[chart.unit](value, 3), axisLabelWidth: 66}},
      highlightCircleSize: 3, xRangePad: 4, underlayCallback: (context, area, g) => mark(chart, context, area, g),
    }));
    figure.querySelector('.static').hidden = true;
    figure.dataset.drawn = 'yes';
    return graph;
  }

  const graphs = charts.map((chart, number) => draw(chart, document.getElementById('chart-' + number)));

  // The row of a chart that holds at x: charts of a group may have points of different lengths.
  function rowAt(chart, x) {
    let low = 0, high = chart.rows.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (chart.rows[middle][0] <= x) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  let following = false; // true while the others are made to follow: they do not lead meanwhile
  function lead(number, follow) {
    if (following || !charts[number].group) return;
    following = true;
    graphs.forEach((other, at) => {
      if (at !== number && charts[at].group === charts[number].group) follow(other, charts[at]);
    });
    following = false;
  }
  graphs.forEach((graph, number) => graph.updateOptions({
    highlightCallback: (_, x) => lead(number, (other, chart) => other.setSelection(rowAt(chart, x))),
    unhighlightCallback: () => lead(number, other => other.clearSelection()),
    drawCallback: () => lead(number, other => {
      const range = graph.isZoomed('x') ? graph.xAxisRange() : null;
      if (String(other.isZoomed('x') ? other.xAxisRange() : null) !== String(range)) other.updateOptions({dateWindow: range});
    }),
  }, true));
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () =>
    graphs.forEach((graph, number) => graph.updateOptions(paint(charts[number]))));
  document.body.dataset.charts = String(graphs.length);
})();
