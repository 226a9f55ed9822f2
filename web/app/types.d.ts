// What the API answers, as far as the dashboard reads it. For the type checker only.

export interface Condition {
  type: string;
  status: boolean;
  reason: string;
  message: string;
  since: string;
}

export type Audience = "everyone" | "guests" | "owner";

export interface OwnDomain {
  name: string;
  shown: string;
  url: string;
  state: "inForce" | "taken" | "ofTheServer" | "pending";
  heldBy?: string;
  leads: "here" | "elsewhere" | "nowhere" | "unknown";
}

export interface GuestLink {
  id: number;
  name: string;
  createdAt: string;
  expiresAt: string | null;
  uses: number;
  lastUsedAt: string | null;
}

export interface AppView {
  app: string;
  phase: string;
  url: string;
  host: string;
  sync: string;
  health: string;
  desired: "running" | "stopped" | "deleted";
  template?: string;
  fileDigest?: string;
  appliedDigest?: string;
  container?: string;
  endpoint?: { ip: string; port: number };
  limits?: { memory: string | number; cpus: string | number; pids: number };
  restarts: number;
  startedAt?: string;
  lastExit?: { code: number; oomKilled: boolean; at?: string; log?: string[] };
  failedDeploy?: { at: string; reason: string; log: string[] };
  visitors: { view: Audience; change: Audience };
  domains?: string[];
  sleep?: { afterSeconds: number; since?: string; wakes: number; wokenBy?: { at: string; path?: string; agent?: string } };
  addresses?: { shown: string; url: string }[];
  conditions: Condition[];
}

export interface Words {
  ko: string;
  en: string;
}

export interface Problem {
  at: string;
  kind: "unfit" | "unknown";
  message: Words;
}

export interface SchemaField {
  "x-kind": string;
  title: string;
  description?: string;
  "x-en": { title: string; description?: string };
  default?: unknown;
  maxLength?: number;
  maxItems?: number;
  format?: "date" | "date-time";
  enum?: string[];
  "x-labels"?: Record<string, Words>;
  items?: Schema;
}

export interface Schema {
  "x-order": string[];
  properties: Record<string, SchemaField>;
}

export interface Studio {
  running: string;
  base: string;
  schema: Schema | null;
  content: Record<string, unknown>;
  draft: { base: string; revision: number; at: string; content?: Record<string, unknown>; files?: { path: string; content: string | null }[]; uploads?: Record<string, { bytes: number }> } | null;
  problems: Problem[];
  others: string[];
}

/** What of a site its owner looks at before others see it. */
export interface PreviewView {
  source: { version: string };
  state: "preparing" | "starting" | "ready" | "failed" | "ending";
  url: string;
  since: string;
  until: string;
  reason?: string;
  log?: string[];
}

export interface FileChange {
  path: string;
  kind: "added" | "changed" | "removed";
}

export interface Version {
  id: string;
  at: string;
  by: string;
  door: string;
  message: string;
  healthy: boolean;
  changes: FileChange[];
}

export interface Backup {
  id: string;
  at: string;
  why: "schedule" | "asked" | "purge" | "restore";
  bytes: number;
  proof?: { at: string; files: number; bytes: number; databases: number; problem?: string };
}

export interface AppDetail extends AppView {
  traffic: { requests: number } | null;
  manifest: { template: string; enableApi?: boolean; state: string } | null;
}

export interface Template {
  id: string;
  name: string;
  description: string;
  version: string;
  supportsApi: boolean;
  /** `null`: nobody can be kept out. */
  visitors: { view: Audience; change: Audience } | null;
  problem: string | null;
}

export interface AppEvent {
  at: string;
  app: string | null;
  kind: "done" | "failed" | "noticed" | "changed";
  what: string;
  cause: string;
}

export interface Daemon {
  version: string;
  engine: { state: string; reason?: string; since?: string; info?: Record<string, unknown> };
  manifests: { state: string; reason?: string; since?: string };
  database?: { state: string; reason?: string };
  image: { state: string; step?: string; id?: string; reason?: string; log?: string[]; since?: string; built?: boolean };
  network: { state: string; message?: string; id?: string };
  held?: { token: string; apps: string[]; message: string; since: string };
  fileProblems: { file: string; message: string }[];
  settingsProblems: string[];
  restartRequired: string[];
  lastResync?: string;
  proxy?: { url: string; state: string; version?: string; hosts: { names: string[] }[]; plan: string[]; conditions: { type: string; message: string; since: string }[] };
}

/** Somebody who has an account, or is invited to one. */
export interface PersonView {
  name: string;
  role: "admin" | "member";
  state: "invited" | "mustChangePassword" | "active";
  createdAt: string;
  invitedUntil: string | null;
  /** `null`: as the settings say. */
  maxApps: number | null;
  appsAllowed: number;
  secondStep: boolean;
  apps: string[];
}

/** What an app uses; `null`: not known, or nothing runs. */
export interface Used {
  cpuMillis: number | null;
  memoryBytes: number | null;
  diskBytes: number | null;
}

export interface UsageLimits {
  cpuMillis: number;
  memoryBytes: number;
}

export interface Usage {
  limits: UsageLimits | null;
  now: Used;
  everySeconds: number;
  samples: (Used & { at: string })[];
}

export interface ShortUsage {
  app: string;
  limits: UsageLimits | null;
  now: Used;
  cpuMillis: (number | null)[];
  memoryBytes: (number | null)[];
}

export interface VisitDay {
  day: string;
  visitors: number;
  pages: number;
}

export interface Setting {
  name: string;
  value: string | null;
  origin: "default" | "file" | "environment";
  line: number | null;
  restart: boolean;
}

export interface Machine {
  diskFreeBytes: number | null;
  diskTotalBytes: number | null;
  memoryFreeBytes: number | null;
  memoryTotalBytes: number | null;
  daemonMemoryBytes: number | null;
  room: {
    awake: number;
    asleep: number;
    waiting: number;
    fits: number | null;
    siteBytes: number | null;
    reserveBytes: number;
    pressurePercent: number | null;
  };
}
