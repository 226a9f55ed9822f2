'use strict';

/**
 * Opens the SQLite file and brings its tables up to date. `tables` is a list of SQL texts, each of which brings the file one
 * version further: never edit one that was released, append another.
 *
 * @returns {import('better-sqlite3').Database}
 */
function openDatabase(file, tables) {
  // Loaded only when it is used: a site without a database takes less memory.
  const Database = require('better-sqlite3');
  // For a moment during a deploy the old and the new container share this file. WAL lets one write while the other
  // reads, and the timeout makes two writers wait for each other instead of failing.
  const db = new Database(file, { timeout: 3000 });
  // Switching a new file to WAL needs it alone and does not wait by itself, so two first starts at once take turns.
  for (let attempt = 1; ; attempt++) {
    try {
      db.pragma('journal_mode = WAL');
      break;
    } catch (error) {
      if (error.code !== 'SQLITE_BUSY' || attempt === 50) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
    }
  }
  // Safe in WAL mode against a crash of the app; a power cut may cost the last second, never the file.
  db.pragma('synchronous = NORMAL');
  db.transaction(() => {
    const version = db.pragma('user_version', { simple: true });
    tables.slice(version).forEach((sql) => db.exec(sql));
    if (version < tables.length) db.pragma(`user_version = ${tables.length}`);
  }).immediate();
  return db;
}

module.exports = { openDatabase };
