//! Every command that a message of the program names, and where it is followed.

use std::collections::BTreeSet;
use std::fs;

use crate::message_support::{command_lines, messages, repository};

/// What shows that a command helps where a message names it.
enum Shown {
    /// A test of `tests/remedies/main.rs`.
    Here(&'static str),
    /// A test elsewhere.
    In(&'static str, &'static str),
    /// Nothing, because of this.
    Not(&'static str),
}
use Shown::{Here, In, Not};

/// Commands that change nothing: what they show is compared by the tests of each.
const LOOKING: [&str; 15] = [
    "backup list",
    "doctor",
    "events",
    "get",
    "git",
    "logs",
    "npm plan",
    "npm status",
    "plan",
    "schema",
    "status",
    "templates",
    "trash list",
    "validate",
    "versions",
];

/// Says what each command is for.
const HELP: &str = "src/cli/args";

const EXPLAINS: &str = "it is no remedy: the text says what the command is for";
const FIREWALL: &str = "it changes the machine's firewall: scripts/test-machine does it on a machine of its own";

/// A file below `src/`, the command as a message names it (`_`: what is filled in), and what shows that it helps.
#[rustfmt::skip]
const ROWS: &[(&str, &str, Shown)] = &[
    ("accounts/error.rs", "paas admin reset-password", In("tests/accounts.rs", "a_reset_gives_a_password_for_once_and_ends_every_session")),
    ("accounts/error.rs", "paas init", In("tests/cli.rs", "init_shows_the_first_word_for_as_long_as_it_opens_anything")),
    ("cli/admin.rs", "paas admin revoke", In("tests/cli.rs", "a_forgotten_password_is_replaced_beside_a_running_daemon")),
    ("cli/chosen.rs", "paas _ --all --yes", Here("whoever_means_all_says_so_with_yes")),
    ("cli/chosen.rs", "paas create USERID-APPNAME --template diary-v1", Here("an_app_without_a_manifest_is_made_or_given_up")),
    ("cli/client.rs", "paas serve", Here("without_a_daemon_it_is_started_and_what_was_written_happens")),
    ("cli/create.rs", "paas create _ --template TEMPLATE", Here("an_app_without_a_manifest_is_made_or_given_up")),
    ("cli/create.rs", "paas status _", Here("an_app_on_its_way_out_is_made_fresh_when_it_is_gone")),
    ("cli/create.rs", "paas stop _", Here("what_is_deleted_is_taken_back_by_start_and_its_code_by_trash")),
    ("cli/create.rs", "paas trash restore _", Here("what_is_deleted_is_taken_back_by_start_and_its_code_by_trash")),
    ("cli/delete.rs", "paas delete _ --purge", Here("an_app_without_a_manifest_is_made_or_given_up")),
    ("cli/deploy.rs", "paas deploy _", Here("a_given_up_deploy_is_repaired_and_deployed_and_not_restarted")),
    ("cli/deploy.rs", "paas start _", Here("what_is_deleted_is_taken_back_by_start_and_its_code_by_trash")),
    ("cli/deploy.rs", "paas status _", Here("a_given_up_deploy_is_repaired_and_deployed_and_not_restarted")),
    ("cli/doctor.rs", "paas init", Here("a_missing_manifests_folder_is_made_by_init_where_nothing_would_go")),
    ("cli/doctor.rs", "paas serve", Here("without_a_daemon_it_is_started_and_what_was_written_happens")),
    ("cli/domains.rs", "paas domains _", In("tests/cli.rs", "domains_are_added_and_removed_by_the_manifest")),
    ("cli/domains.rs", "paas start _", Here("what_is_deleted_is_taken_back_by_start_and_its_code_by_trash")),
    ("cli/down.rs", "paas down --yes", In("tests/docker/daemon/lifecycle.rs", "down_removes_our_containers_only_and_the_next_start_brings_them_back_with_their_data")),
    ("cli/down.rs", "paas serve", In("tests/docker/daemon/lifecycle.rs", "down_removes_our_containers_only_and_the_next_start_brings_them_back_with_their_data")),
    ("cli/down.rs", "paas stop APP", In("tests/cli.rs", "down_refuses_while_the_daemon_runs")),
    ("cli/firewall.rs", "paas firewall --remove", Not(FIREWALL)),
    ("cli/firewall.rs", "paas firewall --apply", Not(FIREWALL)),
    ("cli/firewall.rs", "paas firewall _", Not(FIREWALL)),
    ("cli/init.rs", "paas confirm", Here("a_lost_manifests_folder_is_put_back_or_given_up_by_init_and_confirm")),
    ("cli/init.rs", "paas init --yes", Here("a_lost_manifests_folder_is_put_back_or_given_up_by_init_and_confirm")),
    ("cli/init.rs", "paas serve", Here("without_a_daemon_it_is_started_and_what_was_written_happens")),
    ("cli/manifests.rs", "paas init", In("tests/cli.rs", "a_lost_database_and_a_lost_folder_are_told_as_that_and_their_remedies_help")),
    ("cli/names.rs", "paas create _ --template diary-v1", Here("an_app_without_a_manifest_is_made_or_given_up")),
    ("cli/rest.rs", "paas start _", Here("what_is_deleted_is_taken_back_by_start_and_its_code_by_trash")),
    ("cli/restore.rs", "paas restore _ --undo", In("tests/docker/daemon/restore.rs", "a_restore_that_is_not_healthy_says_so_and_is_undone_by_one_command")),
    ("cli/status.rs", "paas confirm", Here("a_held_deletion_is_put_back_or_confirmed")),
    ("cli/status.rs", "paas create USERID-APPNAME --template diary-v1", Here("an_app_without_a_manifest_is_made_or_given_up")),
    ("cli/trash.rs", "paas create _", Here("an_app_without_a_manifest_is_made_or_given_up")),
    ("cli/trash.rs", "paas start _", Here("what_is_deleted_is_taken_back_by_start_and_its_code_by_trash")),
    ("cli/trash.rs", "paas stop _", Here("what_is_deleted_is_taken_back_by_start_and_its_code_by_trash")),
    ("cli/trash.rs", "paas trash list", Here("what_is_deleted_is_taken_back_by_start_and_its_code_by_trash")),
    ("cli/visitors.rs", "paas start _", Here("what_is_deleted_is_taken_back_by_start_and_its_code_by_trash")),
    ("cli/wait.rs", "paas serve", Here("without_a_daemon_it_is_started_and_what_was_written_happens")),
    ("compose.rs", "paas down", In("tests/docker/daemon/lifecycle.rs", "down_removes_our_containers_only_and_the_next_start_brings_them_back_with_their_data")),
    ("controller/addresses.rs", "paas down", Here("a_network_that_is_not_as_the_settings_ask_is_removed_and_made_anew")),
    ("controller/admission.rs", "paas user set _ --max-apps NUMBER", Here("a_quota_of_ones_own_is_raised_by_user_set")),
    ("controller/goal.rs", "paas confirm _", Here("a_held_deletion_is_put_back_or_confirmed")),
    ("controller/handle.rs", "paas confirm", Here("a_held_deletion_is_put_back_or_confirmed")),
    ("controller/handle.rs", "paas status", Here("a_held_deletion_is_put_back_or_confirmed")),
    ("controller/network.rs", "paas down", Here("a_network_that_is_not_as_the_settings_ask_is_removed_and_made_anew")),
    ("controller/network.rs", "paas firewall --apply", Not(FIREWALL)),
    ("controller/run/absence.rs", "paas confirm _", Here("a_held_deletion_is_put_back_or_confirmed")),
    ("desired/folder.rs", "paas init", Here("a_missing_manifests_folder_is_made_by_init_where_nothing_would_go")),
    ("desired/load.rs", "paas init", Here("a_missing_manifests_folder_is_made_by_init_where_nothing_would_go")),
    ("desired/marker.rs", "paas init", Here("a_missing_or_damaged_marker_is_written_by_init")),
    ("firewall.rs", "paas firewall", Not(EXPLAINS)),
    ("firewall.rs", "paas firewall --remove", Not(EXPLAINS)),
    ("plan/assess.rs", "paas deploy _", Here("an_app_that_ended_or_keeps_ending_is_repaired_and_deployed")),
    ("plan/assess.rs", "paas logs _", Here("an_app_that_hangs_gets_a_new_container_by_deploy")),
    ("plan/assess.rs", "paas status", Here("an_image_that_cannot_be_built_is_told_by_status_and_built_once_it_can_be")),
    ("portal/caller.rs", "paas admin reset-password", In("tests/portal_auth.rs", "the_first_login_leads_to_a_new_password_and_nowhere_else")),
    ("portal/commands.rs", "paas status", Here("a_held_deletion_is_put_back_or_confirmed")),
    ("portal/create.rs", "paas user set _ --max-apps NUMBER", Here("a_quota_of_ones_own_is_raised_by_user_set")),
    ("portal/people.rs", "paas user totp-off _", In("tests/accounts.rs", "a_link_for_a_new_password_takes_the_code_and_whoever_runs_the_box_gets_people_back_in")),
    ("portal/refuse.rs", "paas admin reset-password", In("tests/cli.rs", "a_forgotten_password_is_replaced_beside_a_running_daemon")),
    ("portal/refuse.rs", "paas init", In("tests/cli.rs", "init_shows_the_first_word_for_as_long_as_it_opens_anything")),
    ("sockets.rs", "paas serve", In("tests/restart.rs", "sockets_that_nobody_could_serve_are_refused_with_the_remedy")),
];

#[test]
fn no_command_that_a_message_advises_is_left_untried() {
    let advised: BTreeSet<(String, String)> = messages()
        .iter()
        .flat_map(|(file, text)| command_lines(text).into_iter().map(|line| (file.clone(), line.replace('\0', "_"))))
        .collect();
    assert!(advised.len() > 60, "only {}", advised.len());
    let listed: BTreeSet<_> = ROWS.iter().map(|(file, line, _)| (format!("src/{file}"), (*line).to_owned())).collect();
    assert_eq!(listed.len(), ROWS.len(), "listed twice");
    let only_looks = |line: &str| {
        let words = line.strip_prefix("paas ").unwrap_or(line);
        LOOKING.iter().any(|verb| words.strip_prefix(verb).is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')))
    };
    let missing: Vec<_> =
        advised.difference(&listed).filter(|(file, line)| !file.starts_with(HELP) && !only_looks(line)).collect();
    assert!(
        missing.is_empty(),
        "follow these in a test, in the state in which they are advised, and name it in `ROWS`, or say there why not: {missing:#?}"
    );
    let gone: Vec<_> = listed.difference(&advised).collect();
    assert!(gone.is_empty(), "no message names these any more: {gone:#?}");
}

#[test]
fn every_test_that_follows_a_message_is_there() {
    for (file, line, shown) in ROWS {
        let (tests, name) = match shown {
            Here(name) => ("tests/remedies/main.rs", *name),
            In(tests, name) => (*tests, *name),
            Not(why) => {
                assert!(!why.is_empty(), "{file}: {line}");
                continue;
            }
        };
        let text = fs::read_to_string(repository().join(tests)).unwrap();
        assert!(text.contains(&format!("fn {name}(")), "{file}: `{line}`: {tests} has no test {name}");
    }
}
