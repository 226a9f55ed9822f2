// CodeMirror, see ../LICENSES. Bundled by scripts/vendor-web.
import{b as o}from"./part-6DMHT3WL.js";import"./part-KHHB4MWW.js";import"./part-SMG6QHQO.js";export{o as css};
