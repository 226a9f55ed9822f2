//! The API's own description, OpenAPI 3.1, written from the same table that routes requests: what is not described here
//! cannot be reached.

use std::collections::BTreeMap;

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use super::code::{self, Code};
use super::envelope::Refusal;
use super::rule::Rule;

/// The methods that the API knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Verb {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Put => "put",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }
}

type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// One route as it is described.
#[derive(Debug)]
pub struct Operation {
    /// Unique, in camelCase: what generated clients call it.
    id: &'static str,
    tag: &'static str,
    /// One line.
    summary: &'static str,
    description: &'static str,
    query: Vec<(&'static str, Value, &'static str)>,
    headers: Vec<(&'static str, &'static str)>,
    body: Option<Body>,
    /// The body is no JSON, but bytes of this type.
    bytes: Option<&'static str>,
    answers: Vec<Answer>,
    refusals: Vec<&'static Code>,
    /// A session, nothing else.
    in_person: bool,
}

#[derive(Debug)]
struct Body {
    schema: SchemaOf,
    example: Value,
    required: bool,
    /// In which other types it may come, as bytes.
    others: &'static [&'static str],
}

#[derive(Debug)]
struct Answer {
    status: u16,
    means: &'static str,
    content: Content,
}

#[derive(Debug)]
enum Content {
    /// In the envelope.
    Json(SchemaOf),
    /// Another type, described in words.
    Other(&'static str),
    /// The JSON document itself, without envelope.
    Document,
}

impl Operation {
    #[must_use]
    pub fn new(tag: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self {
            id,
            tag,
            summary,
            description: "",
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
            bytes: None,
            answers: Vec::new(),
            refusals: Vec::new(),
            in_person: false,
        }
    }

    #[must_use]
    pub fn more(mut self, description: &'static str) -> Self {
        self.description = description;
        self
    }

    /// An optional parameter of the query, by its JSON schema.
    #[must_use]
    pub fn query(mut self, name: &'static str, schema: Value, means: &'static str) -> Self {
        self.query.push((name, schema, means));
        self
    }

    /// An optional header.
    #[must_use]
    pub fn header(mut self, name: &'static str, means: &'static str) -> Self {
        self.headers.push((name, means));
        self
    }

    #[must_use]
    pub fn takes<T: JsonSchema>(mut self, example: Value) -> Self {
        self.body = Some(Body { schema: schema_of::<T>, example, required: true, others: &[] });
        self
    }

    #[must_use]
    pub fn may_take<T: JsonSchema>(mut self, example: Value) -> Self {
        self.body = Some(Body { schema: schema_of::<T>, example, required: false, others: &[] });
        self
    }

    /// Or bytes of one of these types.
    #[must_use]
    pub fn or_takes(mut self, types: &'static [&'static str]) -> Self {
        if let Some(body) = &mut self.body {
            body.others = types;
        }
        self
    }

    #[must_use]
    pub fn takes_bytes(mut self, kind: &'static str) -> Self {
        self.bytes = Some(kind);
        self
    }

    #[must_use]
    pub fn answers<T: JsonSchema>(mut self, status: u16, means: &'static str) -> Self {
        self.answers.push(Answer { status, means, content: Content::Json(schema_of::<T>) });
        self
    }

    #[must_use]
    pub fn answers_with(mut self, status: u16, content_type: &'static str, means: &'static str) -> Self {
        self.answers.push(Answer { status, means, content: Content::Other(content_type) });
        self
    }

    #[must_use]
    pub fn answers_document(mut self, means: &'static str) -> Self {
        self.answers.push(Answer { status: 200, means, content: Content::Document });
        self
    }

    /// Reasons of its own; those that follow from its rule, path, query and body are added by themselves.
    #[must_use]
    pub fn refuses(mut self, codes: &[&'static Code]) -> Self {
        self.refusals.extend(codes);
        self
    }

    /// For handlers that ask for a [`Person`](super::caller::Person).
    #[must_use]
    pub fn in_person(mut self) -> Self {
        self.in_person = true;
        self.refuses(&[code::SESSION_ONLY])
    }

    fn all_refusals(&self, verb: Verb, path: &str, rule: Rule) -> Vec<&'static Code> {
        let mut codes = self.refusals.clone();
        match rule {
            Rule::Public => {}
            Rule::Login => codes.push(code::CROSS_ORIGIN),
            Rule::Known | Rule::Member | Rule::Owner | Rule::Deploy | Rule::Admin => {
                codes.extend([code::SIGN_IN, code::TOO_MANY_GUESSES, code::STORE_UNAVAILABLE]);
                if verb != Verb::Get {
                    codes.push(code::CROSS_ORIGIN);
                }
                if rule != Rule::Known {
                    codes.push(code::PASSWORD_CHANGE_REQUIRED);
                    codes.push(code::KEY_NARROWED);
                }
                match rule {
                    Rule::Owner | Rule::Deploy => codes.push(code::NO_SUCH_APP),
                    Rule::Admin => codes.push(code::ADMIN_ONLY),
                    Rule::Public | Rule::Login | Rule::Known | Rule::Member => {}
                }
            }
        }
        if path.contains("{userid}") {
            codes.extend([code::BAD_PATH, code::BAD_NAME]);
        } else if path.contains('{') {
            codes.push(code::BAD_PATH);
        }
        if !self.query.is_empty() {
            codes.push(code::BAD_QUERY);
        }
        if self.body.is_some() {
            codes.extend([
                code::BAD_BODY,
                code::WRONG_SHAPE,
                code::NOT_JSON,
                code::BODY_TOO_LARGE,
                code::BODY_TOO_SLOW,
            ]);
        }
        codes.extend([code::UNKNOWN_HOST, code::INTERNAL]);
        code::ALL.iter().filter(|code| codes.contains(code)).copied().collect()
    }
}

/// A route of the table: where it is, who may use it, what it does.
#[derive(Debug)]
pub struct Described {
    pub verb: Verb,
    pub path: &'static str,
    pub rule: Rule,
    pub operation: Operation,
}

/// The whole document.
#[must_use]
pub fn document(routes: &[Described]) -> Value {
    let settings = || {
        SchemaSettings::draft2020_12().with(|settings| {
            "/components/schemas".clone_into(settings.definitions_path.to_mut());
            settings.meta_schema = None;
        })
    };
    let mut answers = settings().for_serialize().into_generator();
    let mut bodies = settings().for_deserialize().into_generator();
    let refusal = answers.subschema_for::<Refusal>();
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for route in routes {
        let operation = operation(route, &refusal, &mut answers, &mut bodies);
        // A route may take the rest of a path; to OpenAPI that is a parameter like any other.
        paths.entry(route.path.replace("{*", "{")).or_default().insert(route.verb.word().to_owned(), operation);
    }
    let mut schemas = bodies.take_definitions(true);
    schemas.extend(answers.take_definitions(true));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "minipaas",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "The portal API: a thin door to the manifests.",
            "description": "Apps are files; this API writes them and watches until the world has followed. Every answer is \
                `{\"ok\":true,\"data\":…}` or `{\"ok\":false,\"error\":\"…\",\"code\":\"…\"}`. Errors come in Korean or English by \
                `Accept-Language`; a `code` never changes.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": "paas_portal_session",
                    "description": "Set by `POST /auth/login`. Writes also need the page's own `Origin`. The name follows SESSION_COOKIE_NAME."},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key",
                    "description": "A key of `POST /api-keys`, or PORTAL_API_KEY."},
                "bearer": {"type": "http", "scheme": "bearer", "description": "The same keys, for programs that only know this header."},
            },
        },
    })
}

fn operation(
    route: &Described,
    refusal: &Schema,
    answers: &mut SchemaGenerator,
    bodies: &mut SchemaGenerator,
) -> Value {
    let operation = &route.operation;
    let mut responses: BTreeMap<String, Value> = BTreeMap::new();
    for answer in &operation.answers {
        let content = match answer.content {
            Content::Json(schema) => json!({"application/json": {"schema": {
                "type": "object",
                "properties": {"ok": {"const": true}, "data": schema(answers)},
                "required": ["ok", "data"],
                "additionalProperties": false,
            }}}),
            // Of one event: a stream is a sequence of them.
            Content::Other(kind @ "text/event-stream") => json!({kind: {"schema": {
                "type": "object",
                "properties": {"event": {"type": "string"}, "data": {"type": "string"}, "id": {"type": "string"}},
            }}}),
            Content::Other(kind) if kind.ends_with("+json") => json!({kind: {"schema": {"type": "object"}}}),
            Content::Other(kind) => json!({kind: {"schema": {"type": "string"}}}),
            Content::Document => json!({"application/json": {"schema": {"type": "object"}}}),
        };
        let present = responses
            .entry(answer.status.to_string())
            .or_insert_with(|| json!({"description": answer.means, "content": {}}));
        // The same status may come in two types: a log that is followed, say.
        if let (Some(present), Some(more)) = (present["content"].as_object_mut(), content.as_object()) {
            present.extend(more.clone());
        }
    }
    let mut by_status: BTreeMap<u16, Vec<&Code>> = BTreeMap::new();
    for code in operation.all_refusals(route.verb, route.path, route.rule) {
        by_status.entry(code.status.as_u16()).or_default().push(code);
    }
    for (status, codes) in by_status {
        let lines: Vec<_> = codes.iter().map(|code| format!("- `{}`: {}", code.word, code.means)).collect();
        let examples: Map<String, Value> = codes
            .iter()
            .map(|code| {
                let value = json!({"ok": false, "error": code.means, "code": code.word});
                (code.word.to_owned(), json!({"value": value}))
            })
            .collect();
        let content = json!({"application/json": {"schema": refusal, "examples": examples}});
        responses.insert(status.to_string(), json!({"description": lines.join("\n"), "content": content}));
    }
    let mut described = json!({
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": parameters(route),
        "responses": responses,
        "security": match route.rule {
            Rule::Public | Rule::Login => json!([]),
            _ if operation.in_person => json!([{"session": []}]),
            Rule::Known | Rule::Member | Rule::Owner | Rule::Deploy | Rule::Admin => json!([{"session": []}, {"apiKey": []}, {"bearer": []}]),
        },
        // Whose it is: `owner` is the member of the path's userid, and admins.
        "x-rule": route.rule.word(),
    });
    if !operation.description.is_empty() {
        described["description"] = operation.description.into();
    }
    if let Some(body) = &operation.body {
        let mut content = json!({"application/json": {"schema": (body.schema)(bodies), "example": body.example}});
        for other in body.others {
            content[*other] = json!({"schema": {"type": "string", "format": "binary"}});
        }
        described["requestBody"] = json!({"required": body.required, "content": content});
    }
    if let Some(kind) = operation.bytes {
        let content = json!({kind: {"schema": {"type": "string", "format": "binary"}}});
        described["requestBody"] = json!({"required": true, "content": content});
    }
    described
}

fn parameters(route: &Described) -> Vec<Value> {
    let mut parameters = Vec::new();
    for name in route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
        let name = name.trim_start_matches('*');
        let schema = match name {
            "userid" | "name" => json!({"type": "string", "pattern": "^[a-z][a-z0-9]{2,19}$", "examples": ["alice"]}),
            "appname" => json!({"type": "string", "pattern": "^[a-z][a-z0-9-]{1,28}[a-z0-9]$", "examples": ["diary"]}),
            "version" if route.path.starts_with("/apps/") => {
                json!({"type": "string", "pattern": "^[0-9a-f]{16}$", "examples": ["0123456789abcdef"]})
            }
            // A text of any kind is asked for and not found.
            "domain" => json!({"type": "string", "examples": ["www.example.kr"]}),
            "version" | "file" | "view" | "template" => json!({"type": "string"}),
            "token" => json!({"type": "string", "pattern": "^[0-9a-f]{64}$"}),
            _ => json!({"type": "integer", "format": "int64", "minimum": 1}),
        };
        parameters.push(json!({"name": name, "in": "path", "required": true, "schema": schema}));
    }
    for (name, schema, means) in &route.operation.query {
        parameters.push(json!({"name": name, "in": "query", "description": means, "schema": schema}));
    }
    for (name, means) in &route.operation.headers {
        parameters.push(json!({"name": name, "in": "header", "description": means, "schema": {"type": "string"}}));
    }
    parameters
}
