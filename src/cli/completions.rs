//! `paas completions SHELL`, and the hidden `paas names` that the scripts ask for the names of the moment.

use std::io::Write;

use clap::CommandFactory;
use clap_complete::Shell;

use super::args::{Cli, Completions, Kind, Names};
use super::context::Context;
use super::exit::Exit;
use super::manifests::Manifests;
use crate::desired::templates;

/// Commands that take an app that is there.
const OF_APPS: [&str; 20] = [
    "start", "stop", "restart", "deploy", "delete", "get", "logs", "events", "status", "plan", "ls", "visitors",
    "versions", "rollback", "preview", "diff", "domains", "sleep", "wake", "git",
];

pub(super) fn run(context: &mut Context, args: &Completions) -> anyhow::Result<Exit> {
    // Into memory first: the generator panics when the reader of its output leaves.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "paas", &mut script);
    let script = with_names(args.shell, &String::from_utf8_lossy(&script));
    context.out.write_all(script.as_bytes())?;
    Ok(Exit::Done)
}

/// One name a line. Whatever hinders, there is nothing to complete: a message would land in the middle of somebody's line.
pub(super) fn names(context: &mut Context, args: &Names) -> anyhow::Result<Exit> {
    let Ok(settings) = context.settings_quietly().cloned() else { return Ok(Exit::Done) };
    let names: Vec<String> = match args.of {
        Kind::Apps => Manifests::new(&settings).keys().unwrap_or_default().iter().map(ToString::to_string).collect(),
        Kind::Templates => {
            templates::load(&settings.templates_dir).unwrap_or_default().keys().map(ToString::to_string).collect()
        }
    };
    for name in names {
        context.out.line(name)?;
    }
    Ok(Exit::Done)
}

/// The generator knows the words of the command line, not what there is on this machine.
fn with_names(shell: Shell, script: &str) -> String {
    match shell {
        Shell::Bash => {
            format!("{script}\n{}", BASH.replace(":VERBS", &OF_APPS.map(|verb| format!(":{verb}")).join("|")))
        }
        Shell::Zsh => {
            let app = |line: &str| {
                line.contains("app -- The app") || line.contains("app -- Only") || line.contains("apps -- ")
            };
            let lines: Vec<String> = script
                .lines()
                .map(|line| match line {
                    line if app(line) => line.replace(":_default'", ":_paas_apps'"),
                    line => line.replace(":TEMPLATE:_default'", ":TEMPLATE:_paas_templates'"),
                })
                .collect();
            // The functions come before the last part, which calls what was defined above it.
            lines.join("\n").replacen("\n_paas() {", &format!("\n{ZSH}\n_paas() {{"), 1) + "\n"
        }
        Shell::Fish => {
            let mut script = script.to_owned();
            for verb in OF_APPS {
                script.push_str(&FISH.replace("VERB", verb));
            }
            script
                + "complete -c paas -n \"__fish_paas_using_subcommand create\" -s t -l template -x -a \"(paas names templates \
                   2>/dev/null)\"\ncomplete -c paas -n \"__fish_paas_using_subcommand template; and __fish_seen_subcommand_from new\" -l from -x \
                   -a \"(paas names templates 2>/dev/null)\"\n"
        }
        _ => script.to_owned(),
    }
}

const BASH: &str = r#"_paas_with_names() {
    local word verb= current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
    case $before in
        -t|--template|--from)
            COMPREPLY=($(compgen -W "$("${COMP_WORDS[0]}" names templates 2>/dev/null)" -- "$current"))
            return ;;
        -*) _paas "$@"; return ;;
    esac
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case $verb:$word in
            :VERBS) verb=$word ;;
            # After the app comes what to do.
            visitors:[!-]*|domains:[!-]*) _paas "$@"; return ;;
        esac
    done
    case $verb:$current in
        :*|*:-*) _paas "$@" ;;
        *) COMPREPLY=($(compgen -W "$("${COMP_WORDS[0]}" names apps 2>/dev/null)" -- "$current")) ;;
    esac
}
complete -F _paas_with_names -o bashdefault -o default paas
"#;

const FISH: &str =
    "complete -c paas -n \"__fish_paas_using_subcommand VERB\" -f -a \"(paas names apps 2>/dev/null)\"\n";

const ZSH: &str = r#"_paas_apps() { local -a names; names=(${(f)"$(paas names apps 2>/dev/null)"}); compadd -a names }
_paas_templates() { local -a names; names=(${(f)"$(paas names templates 2>/dev/null)"}); compadd -a names }"#;
