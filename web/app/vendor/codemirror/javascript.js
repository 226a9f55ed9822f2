// CodeMirror, see ../LICENSES. Bundled by scripts/vendor-web.
import{e as r}from"./part-XTK2BMFG.js";import"./part-AZ6S3WDG.js";import"./part-KHHB4MWW.js";import"./part-SMG6QHQO.js";export{r as javascript};
