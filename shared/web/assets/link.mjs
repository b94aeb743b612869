// The page of a link. What the link leads to follows # and is read here alone, never sent; it goes into text and
// attributes of the page, after a scheme that is fixed.

import { enableCopying } from './copy.mjs';
import { correction, generate, mode } from './lean-qr.mjs';

const svg = 'http://www.w3.org/2000/svg';
const quietZone = 4; // modules of white margin that scanners need
const denseSize = 100; // modules of a code that is shown larger, or phones could not tell them apart

// Links to data on a relay have one letter for a path, and name the relay's hosts in the parameter h. Without a host
// name of its own, such a link has to name this one there, first.
function appLink(path, fragment, host) {
  if (path.length > 1) {
    return `simplex:/${path}${fragment}`;
  }
  const [data, query = ''] = fragment.split(/\?(.*)/s);
  const parameters = query.split('&').filter((p) => p !== '');
  const at = parameters.findIndex((p) => p.startsWith('h='));
  if (at < 0) {
    parameters.unshift(`h=${host}`);
  } else {
    parameters[at] = `h=${host},${parameters[at].slice(2)}`;
  }
  return `simplex:/${path}${data}?${parameters.join('&')}`;
}

function element(name, attributes) {
  const e = document.createElementNS(svg, name);
  for (const [key, value] of Object.entries(attributes)) {
    e.setAttribute(key, value);
  }
  return e;
}

// It throws if the text is too long for a code.
function encode(text) {
  return generate(text, { minCorrectionLevel: correction.L, maxCorrectionLevel: correction.M, modes: [mode.ascii] });
}

// Black on white whatever the page's colours are.
function draw(code) {
  const side = code.size + 2 * quietZone;
  let path = '';
  for (let y = 0; y < code.size; y++) {
    for (let x = 0; x < code.size; x++) {
      const from = x;
      while (code.get(x, y)) {
        x++;
      }
      if (x > from) {
        path += `M${from + quietZone} ${y + quietZone}h${x - from}v1h${from - x}z`;
      }
    }
  }
  const drawing = element('svg', {
    class: 'code', viewBox: `0 0 ${side} ${side}`, role: 'img', 'aria-label': 'QR code of the link', 'shape-rendering': 'crispEdges',
  });
  drawing.append(element('rect', { width: side, height: side, fill: '#fff' }), element('path', { d: path, fill: '#000' }));
  return drawing;
}

function show() {
  const get = (id) => document.getElementById(id);
  const { path } = get('link').dataset;
  const fragment = location.hash;
  const complete = fragment.length > 1;
  get('complete').hidden = !complete;
  get('incomplete').hidden = complete;
  if (!complete) {
    return;
  }
  // Apps know their links by https and a host name without a port.
  const link = `https://${location.hostname}/${path}${fragment}`;
  get('text').textContent = link;
  get('open').setAttribute('href', appLink(path, fragment, location.hostname));
  let code = null;
  try {
    code = encode(link);
  } catch {
    // Too long for one, which the page tells then.
  }
  get('code').replaceChildren(...(code ? [draw(code)] : []));
  get('complete').classList.toggle('dense', code?.size > denseSize);
  get('figure').hidden = !code;
  get('long').hidden = Boolean(code);
}

enableCopying();
show();
addEventListener('hashchange', show);
