//! Every refusal's code in one place: the word programs compare, the HTTP status it travels with, and what it means in the
//! API's own description. A code never changes its spelling; a new reason gets a new code.

use axum::http::StatusCode;

/// Why something was refused.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    pub word: &'static str,
    pub status: StatusCode,
    /// For the API's description.
    pub means: &'static str,
}

macro_rules! codes {
    ($($name:ident: $status:ident $word:literal $means:literal;)*) => {
        $(
            #[doc = $means]
            pub const $name: &Code = &Code { word: $word, status: StatusCode::$status, means: $means };
        )*
        /// All of them, in the order of their status.
        pub const ALL: &[&Code] = &[$($name),*];
    };
}

codes! {
    MALFORMED: BAD_REQUEST "malformed" "What was sent is no HTTP/1.1 request.";
    BAD_PATH: BAD_REQUEST "bad-path" "The path is not valid text.";
    BAD_NAME: BAD_REQUEST "bad-name" "A userid or appname breaks the rules of names.";
    BAD_QUERY: BAD_REQUEST "bad-query" "A parameter of the query is unknown or out of range.";
    BAD_BODY: BAD_REQUEST "bad-body" "The body is not the JSON that the route takes.";
    UNKNOWN_TEMPLATE: BAD_REQUEST "unknown-template" "There is no such template.";
    TEMPLATE_LACKS_API: BAD_REQUEST "template-lacks-api" "`enableApi` was asked of a template that has no API.";
    BAD_PASSWORD: BAD_REQUEST "bad-password" "The new password is too short, too long, the user's name, the current one, or has control characters.";
    BAD_KEY_NAME: BAD_REQUEST "bad-key-name" "The API key's name is empty, too long or has control characters.";
    BAD_LINK: BAD_REQUEST "bad-link" "The invitation link's name is empty, too long or has control characters, or its life is out of range.";
    BAD_PICTURE: BAD_REQUEST "bad-picture" "What was sent is no picture that is taken, or has no name of one.";
    BAD_HAND_OVER: BAD_REQUEST "bad-hand-over" "What a site has sent along for its browser is not of the right form.";
    BAD_DOMAIN: BAD_REQUEST "bad-domain" "A text is no host name that a site could have, or a name of this server itself.";
    SIGN_IN: UNAUTHORIZED "sign-in" "No credentials were sent, or they are wrong, ended or revoked.";
    WRONG_PASSWORD: UNAUTHORIZED "wrong-password" "The user name and password do not belong together, or the current password is wrong.";
    CODE_NEEDED: UNAUTHORIZED "code-needed" "The password is right, and the account has a second step, which takes `code`.";
    WRONG_CODE: UNAUTHORIZED "wrong-code" "`code` is no code of the phone that is good now and was not used, and no recovery code that is left.";
    WRONG_FIRST_WORD: UNAUTHORIZED "wrong-first-word" "`firstWord` is not the first word of this installation.";
    FIRST_WORD_NEEDED: FORBIDDEN "first-word-needed" "`admin` signs in with the first password from another machine than the server, which takes `firstWord`.";
    FIRST_LOGIN_ELSEWHERE: FORBIDDEN "first-login-elsewhere" "`admin` signs in with the first password from where that is not allowed, or from nobody knows where.";
    PASSWORD_CHANGE_REQUIRED: FORBIDDEN "password-change-required" "The password must be changed first.";
    CROSS_ORIGIN: FORBIDDEN "cross-origin" "A write with a session cookie came from a page of another origin.";
    SESSION_ONLY: FORBIDDEN "session-only" "Only a signed-in person may do this, neither an API key nor the operator on the server.";
    ADMIN_ONLY: FORBIDDEN "admin-only" "Only an admin may do this.";
    KEY_NARROWED: FORBIDDEN "key-narrowed" "The API key was narrowed to one app, or to deploying, when it was made.";
    NOT_YOUR_NAME: FORBIDDEN "not-your-name" "Members make apps under their own name only.";
    NO_SUCH_ROUTE: NOT_FOUND "no-such-route" "The API has no such path.";
    NO_SUCH_APP: NOT_FOUND "no-such-app" "There is no such app.";
    NO_SUCH_USER: NOT_FOUND "no-such-user" "There is no such user.";
    NO_SUCH_INVITATION: NOT_FOUND "no-such-invitation" "The invitation was used, is over, was replaced, or never was.";
    NO_SUCH_SESSION: NOT_FOUND "no-such-session" "You have no such session.";
    NO_SUCH_KEY: NOT_FOUND "no-such-key" "You have no such API key.";
    NO_SUCH_LINK: NOT_FOUND "no-such-link" "The site has no such invitation link.";
    NO_SUCH_DOMAIN: NOT_FOUND "no-such-domain" "The site has no such host name of its own.";
    NO_SUCH_VERSION: NOT_FOUND "no-such-version" "The app has no such version.";
    NO_SUCH_FILE: NOT_FOUND "no-such-file" "The version has no such file.";
    NO_SUCH_BACKUP: NOT_FOUND "no-such-backup" "The app has no such backup.";
    NO_SUCH_PREVIEW: NOT_FOUND "no-such-preview" "Nothing of the app is looked at at present.";
    NO_PREVIEW: NOT_FOUND "no-preview" "The template has no picture.";
    WRONG_METHOD: METHOD_NOT_ALLOWED "wrong-method" "The path does not answer this method.";
    BODY_TOO_SLOW: REQUEST_TIMEOUT "body-too-slow" "The body did not arrive in time.";
    NO_CODE: CONFLICT "no-code" "The app has no code: it is on its way, or deleted.";
    NO_DATA: CONFLICT "no-data" "The app has no data that could be backed up.";
    APP_EXISTS: CONFLICT "app-exists" "An app of that name exists already.";
    USER_EXISTS: CONFLICT "user-exists" "There is a user of that name already.";
    LAST_ADMIN: CONFLICT "last-admin" "Nobody else could run the server.";
    SECOND_STEP_ON: CONFLICT "second-step-on" "The account has a second step already.";
    SECOND_STEP_NOT_BEGUN: CONFLICT "second-step-not-begun" "No second step waits for its first code.";
    OWN_SECOND_STEP: CONFLICT "own-second-step" "One's own second step takes the password and a code to switch off.";
    APP_DELETED: CONFLICT "app-deleted" "The app's manifest says `state: deleted`.";
    TEMPLATE_UNUSABLE: CONFLICT "template-unusable" "The template is there, but no app can be made from it.";
    NOT_EDITABLE: CONFLICT "not-editable" "The manifest cannot be changed by program: correct or change it by hand.";
    CHANGED_MEANWHILE: CONFLICT "changed-meanwhile" "Somebody else changed the manifest at the same moment.";
    NEEDS_GATEWAY: CONFLICT "needs-gateway" "Nobody can be kept out of a site, nor would anybody wake one, while `PAAS_ROUTING` is `direct`.";
    PUBLISHED_MEANWHILE: CONFLICT "published-meanwhile" "Another version runs than the one that the changes were made to.";
    EDITED_MEANWHILE: CONFLICT "edited-meanwhile" "Somebody else has published another change of the same fields or files.";
    DRAFT_CHANGED: CONFLICT "draft-changed" "The draft is another one than `revision` names: it was changed in another window.";
    NOTHING_TO_PUBLISH: CONFLICT "nothing-to-publish" "There is no draft, or it changes nothing.";
    DRAFT_FULL: CONFLICT "draft-full" "The draft would be larger than one may be.";
    PREVIEW_NAME_TAKEN: CONFLICT "preview-name-taken" "An app from before has the address that a preview would have.";
    CODE_IS_LIVE: CONFLICT "code-is-live" "The app runs its working copy itself: its manifest says `code: live`.";
    TOO_MANY_LINKS: CONFLICT "too-many-links" "The site has as many invitation links as are allowed.";
    DOMAIN_TAKEN: CONFLICT "domain-taken" "Another site has the host name.";
    TOO_MANY_DOMAINS: CONFLICT "too-many-domains" "The site has as many host names of its own as are allowed.";
    NEVER_SLEEPS: CONFLICT "never-sleeps" "The app has no `sleep` in its manifest, template or settings.";
    NOT_ASLEEP_NOW: CONFLICT "not-asleep-now" "The app does not run as its manifest says, so it is not sent to sleep.";
    NO_CONTAINER: CONFLICT "no-container" "The app has no container yet.";
    NOTHING_TO_UNDO: CONFLICT "nothing-to-undo" "The app was not restored, or what was there before is not in the trash any more.";
    NOTHING_HELD: CONFLICT "nothing-held" "No removal waits for a confirmation.";
    TOKEN_CHANGED: CONFLICT "token-changed" "What waits is not what was shown.";
    TOO_MANY_KEYS: CONFLICT "too-many-keys" "The user has as many API keys as are allowed.";
    ETAG_MISMATCH: PRECONDITION_FAILED "etag-mismatch" "What is to be changed is not what `If-Match` names.";
    BODY_TOO_LARGE: PAYLOAD_TOO_LARGE "body-too-large" "The body is larger than the route takes: 64 KiB, or what it says.";
    PICTURE_TOO_LARGE: PAYLOAD_TOO_LARGE "picture-too-large" "The picture has more than 4 MiB.";
    PATH_TOO_LONG: URI_TOO_LONG "path-too-long" "The path is longer than any that the API has.";
    NOT_JSON: UNSUPPORTED_MEDIA_TYPE "not-json" "The body's content type is none that the route takes.";
    NOT_GIT: UNSUPPORTED_MEDIA_TYPE "not-git" "The body's content type is not git's own for this path.";
    UNKNOWN_HOST: MISDIRECTED_REQUEST "unknown-host" "The request names a host that the portal does not answer to; `PORTAL_HOSTS` adds one.";
    BAD_EDIT: UNPROCESSABLE_ENTITY "bad-edit" "The changes of the files cannot be made.";
    CONTENT_UNFIT: UNPROCESSABLE_ENTITY "content-unfit" "What is filled in does not fit the form; the message says where.";
    BAD_ARCHIVE: UNPROCESSABLE_ENTITY "bad-archive" "The archive cannot become a version; the message says why.";
    WRONG_SHAPE: UNPROCESSABLE_ENTITY "wrong-shape" "The body is JSON, but not of the shape that the route takes.";
    INVALID_MANIFEST: UNPROCESSABLE_ENTITY "invalid-manifest" "The text is no manifest that could be used; the message says where and why.";
    USER_QUOTA: TOO_MANY_REQUESTS "user-quota" "The user has as many apps as are allowed.";
    TOTAL_QUOTA: TOO_MANY_REQUESTS "total-quota" "The server has as many apps as are allowed.";
    PREVIEW_QUOTA: TOO_MANY_REQUESTS "preview-quota" "There are as many apps and previews as are allowed.";
    TOO_MANY_LOGINS: TOO_MANY_REQUESTS "too-many-logins" "Too many failed logins; `Retry-After` tells when to try again.";
    TOO_MANY_GUESSES: TOO_MANY_REQUESTS "too-many-guesses" "Too many wrong API keys; `Retry-After` tells when to try again.";
    HEAD_TOO_LARGE: REQUEST_HEADER_FIELDS_TOO_LARGE "head-too-large" "The request's line and headers are too many or too large.";
    INTERNAL: INTERNAL_SERVER_ERROR "internal" "A defect of the daemon; its log has the details under the request's id.";
    STARTING: SERVICE_UNAVAILABLE "starting" "The daemon is starting.";
    STOPPING: SERVICE_UNAVAILABLE "stopping" "The daemon is stopping.";
    STUCK: SERVICE_UNAVAILABLE "stuck" "The daemon runs but no longer makes progress.";
    BUSY: SERVICE_UNAVAILABLE "busy" "Too much of the same at once; try again in a moment.";
    ENGINE_UNREACHABLE: SERVICE_UNAVAILABLE "engine-unreachable" "Docker does not answer.";
    ENGINE_UNSUPPORTED: SERVICE_UNAVAILABLE "engine-unsupported" "This Docker is too old or too new.";
    MANIFESTS_UNAVAILABLE: SERVICE_UNAVAILABLE "manifests-unavailable" "The manifests folder cannot be used.";
    TEMPLATES_UNAVAILABLE: SERVICE_UNAVAILABLE "templates-unavailable" "The templates folder cannot be read.";
    TRASH_UNAVAILABLE: SERVICE_UNAVAILABLE "trash-unavailable" "The trash folder cannot be read or written.";
    LOG_UNAVAILABLE: SERVICE_UNAVAILABLE "log-unavailable" "The container's log cannot be read now.";
    NO_HISTORY: SERVICE_UNAVAILABLE "no-history" "No history of the apps' code is kept, because git is missing for example.";
    NO_SPACE: SERVICE_UNAVAILABLE "no-space" "The server's disk does not take what was sent.";
    HISTORY_UNAVAILABLE: SERVICE_UNAVAILABLE "history-unavailable" "The history of the app's code cannot be used now.";
    DRAFT_UNAVAILABLE: SERVICE_UNAVAILABLE "draft-unavailable" "Drafts cannot be used now.";
    BACKUP_FAILED: SERVICE_UNAVAILABLE "backup-failed" "The backup could not be made, read or checked; the message says why.";
    RESTORE_FAILED: SERVICE_UNAVAILABLE "restore-failed" "The data could not be made ready to be put back; the app is as it was, and the message says why.";
    STORE_UNAVAILABLE: SERVICE_UNAVAILABLE "store-unavailable" "The daemon's database cannot be used now.";
    DRAFT_UNSAVED: INSUFFICIENT_STORAGE "draft-unsaved" "The draft could not be written, a full disk for example; the one before is still there.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_means_one_thing() {
        for (number, code) in ALL.iter().enumerate() {
            assert!(ALL[..number].iter().all(|other| other.word != code.word), "{} twice", code.word);
            let plain = code.word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
            assert!(plain && code.means.ends_with('.'), "{code:?}");
        }
    }
}
