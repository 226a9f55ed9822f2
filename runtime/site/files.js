'use strict';
// What can be fetched: everything in public/, and the .html files beside server.js. Nothing else, so the source stays at
// home.

const { stat } = require('node:fs/promises');
const path = require('node:path');
const express = require('express');

// "no-cache" means: keep it, but ask before using it. With the ETag that costs one small answer, and an edit shows at once.
const CACHE = 'no-cache';

function serveFiles(folder) {
  const shared = path.join(folder, 'public');
  const files = express.static(shared, {
    cacheControl: false,
    setHeaders: (res) => res.set('Cache-Control', CACHE),
    index: false,
    redirect: false,
    dotfiles: 'ignore',
  });
  return [files, pages([shared, folder])];
}

/** `/` is index.html, `/second` is second.html, and `/sub/` is sub/index.html: in public/, else beside server.js. */
function pages(folders) {
  return async (req, res, next) => {
    if (req.method !== 'GET' && req.method !== 'HEAD') return next();
    const parts = partsOf(req.path);
    if (!parts) return next();
    const last = parts.pop();
    for (const folder of folders) {
      const inFolder = path.join(folder, ...parts);
      const found = (await one(inFolder, last)) ?? (await one(inFolder, `${last}/index.html`));
      if (!found) continue;
      // Without the slash the page's own relative addresses would lead one folder too high.
      if (last !== '' && found.endsWith('/index.html')) return res.redirect(301, `./${encodeURIComponent(last)}/${queryOf(req)}`);
      res.set('Cache-Control', CACHE);
      return res.sendFile(path.relative(folder, path.join(inFolder, found)), { root: folder, cacheControl: false });
    }
    return next();
  };
}

/** The name of the page in that folder, however a Mac has written its Hangul. */
async function one(folder, name) {
  const page = name === '' || name.endsWith('.html') ? name : `${name}.html`;
  if (page === '') return null;
  for (const form of new Set([page, page.normalize('NFC'), page.normalize('NFD')])) {
    const is = await stat(path.join(folder, form)).catch(() => null);
    if (is?.isFile()) return form;
  }
  return null;
}

/** The parts of an address, the last of which may be empty; null for what cannot be a page. */
function partsOf(where) {
  let decoded;
  try {
    decoded = decodeURIComponent(where);
  } catch {
    return null;
  }
  const parts = decoded.split('/').slice(1);
  const bad = (part, at) =>
    part.startsWith('.') || part === 'node_modules' || /[\\\0]/.test(part) || (part === '' && at < parts.length - 1);
  return parts.some(bad) ? null : parts;
}

function queryOf(req) {
  const at = req.url.indexOf('?');
  return at < 0 ? '' : req.url.slice(at);
}

module.exports = { serveFiles };
