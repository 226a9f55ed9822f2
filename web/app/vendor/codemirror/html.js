// CodeMirror, see ../LICENSES. Bundled by scripts/vendor-web.
import{b as m}from"./part-S7NWGXB4.js";import"./part-6DMHT3WL.js";import"./part-XTK2BMFG.js";import"./part-AZ6S3WDG.js";import"./part-KHHB4MWW.js";import"./part-SMG6QHQO.js";export{m as html};
