// Shows /openapi.json to people. Everything is text: nothing of the document is ever taken for markup.
"use strict";

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// A schema as an example of what it describes, a few levels deep.
function sketch(schema, schemas, depth) {
  if (schema === true || schema === undefined) return "…";
  if (schema.$ref) {
    const name = schema.$ref.split("/").pop();
    return depth > 6 ? name : sketch(schemas[name], schemas, depth + 1);
  }
  if ("const" in schema) return schema.const;
  if (schema.examples) return schema.examples[0];
  if (schema.enum) return schema.enum.join(" | ");
  const several = schema.oneOf || schema.anyOf;
  if (several) {
    const shown = several.filter((one) => one.type !== "null").map((one) => sketch(one, schemas, depth + 1));
    if (shown.every((one) => typeof one === "string")) return shown.join(" | ");
    return shown[0];
  }
  if (schema.allOf) return Object.assign({}, ...schema.allOf.map((one) => sketch(one, schemas, depth + 1)));
  const type = Array.isArray(schema.type) ? schema.type.find((one) => one !== "null") : schema.type;
  if (type === "array") return [sketch(schema.items, schemas, depth + 1)];
  if (type === "object" || schema.properties) {
    const shown = {};
    for (const [key, value] of Object.entries(schema.properties || {})) shown[key] = sketch(value, schemas, depth + 1);
    if (schema.additionalProperties && typeof schema.additionalProperties === "object") {
      shown["…"] = sketch(schema.additionalProperties, schemas, depth + 1);
    }
    return shown;
  }
  return schema.format || type || "…";
}

function block(value) {
  return element("pre", {}, JSON.stringify(value, null, 2));
}

function rows(head, lines) {
  const table = element("table", {}, element("tr", {}, ...head.map((text) => element("th", {}, text))));
  for (const line of lines) {
    table.append(element("tr", {}, ...line.map((cell) => element("td", {}, cell))));
  }
  return table;
}

function access(operation) {
  if (operation.security.length === 0) return "Open to everybody.";
  return "Needs a session cookie (and, for writes, the page's own origin) or an API key in X-API-Key.";
}

function body(operation, schemas) {
  const shown = element("div", {});
  if (operation.description) shown.append(element("p", {}, operation.description));
  shown.append(element("p", {}, access(operation)));
  if (operation.parameters.length > 0) {
    const lines = operation.parameters.map((one) => [
      element("code", {}, one.name),
      one.in + (one.required ? ", required" : ""),
      [one.description, one.schema.pattern, one.schema.enum && one.schema.enum.join(" | "),
        "default" in one.schema && "default " + one.schema.default].filter(Boolean).join(" · "),
    ]);
    shown.append(element("h3", {}, "Parameters"), rows(["name", "where", "what"], lines));
  }
  if (operation.requestBody) {
    const content = operation.requestBody.content["application/json"];
    shown.append(element("h3", {}, operation.requestBody.required ? "Body" : "Body (may be left out)"), block(content.example),
      element("details", {}, element("summary", {}, "Shape"), element("div", {}, block(sketch(content.schema, schemas, 0)))));
  }
  shown.append(element("h3", {}, "Answers"));
  for (const [status, answer] of Object.entries(operation.responses)) {
    const [type, content] = Object.entries(answer.content)[0];
    const good = status < "400";
    const detail = element("div", {}, element("p", {}, Object.keys(answer.content).join(", ")));
    if (good && type === "application/json") detail.append(block(sketch(content.schema, schemas, 0)));
    if (!good) {
      const lines = Object.entries(content.examples).map(([code, example]) => [element("code", {}, code), example.value.error]);
      detail.append(rows(["code", "when"], lines));
    }
    const words = good ? answer.description : Object.keys(content.examples).join(", ");
    shown.append(element("details", {}, element("summary", {}, element("code", {}, status), " ", words), detail));
  }
  return shown;
}

function show(api) {
  document.getElementById("about").replaceChildren(
    `version ${api.info.version} · `, element("a", { href: "/openapi.json" }, "/openapi.json"),
    ` (OpenAPI ${api.openapi})`, element("br", {}), api.info.description);
  const routes = document.getElementById("routes");
  const tags = new Map();
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [verb, operation] of Object.entries(methods)) {
      const tag = operation.tags[0];
      const entry = element("details", { "class": "route", "data-words": `${verb} ${path} ${operation.summary} ${Object.keys(operation.responses).join(" ")}`.toLowerCase() },
        element("summary", {}, element("span", { "class": `verb ${verb}` }, verb.toUpperCase()),
          element("span", { "class": "path" }, path), " ", element("span", { "class": "what" }, operation.summary)),
        body(operation, api.components.schemas));
      if (!tags.has(tag)) tags.set(tag, element("section", {}, element("h2", {}, tag)));
      tags.get(tag).append(entry);
    }
  }
  routes.replaceChildren(...tags.values());
}

document.getElementById("filter").addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const section of document.querySelectorAll("section")) {
    let any = false;
    for (const route of section.querySelectorAll(".route")) {
      route.hidden = !words.every((word) => route.dataset.words.includes(word));
      any = any || !route.hidden;
    }
    section.hidden = !any;
  }
});

fetch("/openapi.json")
  .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(`/openapi.json answered ${answer.status}`))))
  .then(show)
  .catch((error) => { document.getElementById("about").textContent = `The description cannot be shown: ${error.message}. Reload the page.`; });
