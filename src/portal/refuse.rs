//! What the accounts refuse, as the API says it: a code, both languages, and when to try again.

use super::code;
use super::envelope::{ApiError, Text, said};
use super::extract::bad_name;
use super::people::{no_such_invitation, no_such_user};
use crate::accounts::{
    AcceptError, ChangeError, EnterError, Failure, FirstRefusal, KeyError, LinkError, LoginError, MAX_BYTES,
    MAX_KEY_NAME, MAX_KEYS, MAX_LINK_DAYS, MAX_LINK_NAME, MAX_LINKS, MIN_CHARS, PasswordRule, PeopleError, Refused,
    SitePasswordError, TotpError,
};

/// Until hashes that are being computed are done.
const BUSY_SECONDS: u64 = 5;

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        let english = refused.to_string();
        match refused {
            Refused::TooOften { after } => {
                let seconds = after.as_secs();
                let korean = format!("비밀번호를 너무 많이 틀렸습니다: {seconds}초 뒤에 다시 시도하세요");
                Self::new(code::TOO_MANY_LOGINS, Text { english, korean }).retry_after(seconds)
            }
            Refused::TooManyKeys { after } => {
                let seconds = after.as_secs();
                let korean = format!(
                    "이 주소에서 틀린 API 키를 너무 많이 보냈습니다: {seconds}초 뒤에 다시 시도하세요. `POST /api-keys`로 만든 키는 \
                     계속 사용할 수 있습니다"
                );
                Self::new(code::TOO_MANY_GUESSES, Text { english, korean }).retry_after(seconds)
            }
            Refused::Busy => {
                let korean = "로그인이 한꺼번에 몰렸습니다: 몇 초 뒤에 다시 시도하세요".to_owned();
                Self::new(code::BUSY, Text { english, korean }).retry_after(BUSY_SECONDS)
            }
        }
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        let korean = match &failure {
            Failure::Store(error) => return error.clone().into(),
            Failure::Random(why) => format!("시스템이 난수를 주지 않습니다: {why}; 잠시 뒤에 다시 시도하세요"),
            Failure::Hash(why) => format!(
                "비밀번호를 처리할 수 없습니다: {why}; 서버에서 `paas admin reset-password`로 새 비밀번호를 정하세요"
            ),
            // Its path is nobody's business who has not signed in.
            Failure::FirstWord { .. } => {
                tracing::warn!(%failure, "accounts");
                return Self::new(
                    code::INTERNAL,
                    said!(
                        "the first word of this installation cannot be read: the daemon's log says why; sign in on the server \
                         itself, where it is not needed",
                        "이 설치의 첫 단어를 읽을 수 없습니다: 이유는 데몬의 로그에 있습니다. 첫 단어가 필요 없는 서버에서 직접 로그인하세요"
                    ),
                );
            }
        };
        tracing::warn!(%failure, code = code::INTERNAL.word, "accounts");
        Self::new(code::INTERNAL, Text { english: failure.to_string(), korean })
    }
}

impl From<LoginError> for ApiError {
    fn from(error: LoginError) -> Self {
        let english = error.to_string();
        match error {
            LoginError::Wrong => {
                let korean = "사용자 이름이나 비밀번호가 틀렸습니다: 잊었다면 서버에서 `paas admin reset-password`를 \
                     실행하세요";
                Self::new(code::WRONG_PASSWORD, Text { english, korean: korean.to_owned() })
            }
            LoginError::First(refusal) => refusal.into(),
            LoginError::CodeNeeded => code_needed(english),
            LoginError::WrongCode => wrong_code(english),
            LoginError::Refused(refused) => refused.into(),
            LoginError::Failed(failure) => failure.into(),
        }
    }
}

impl From<FirstRefusal> for ApiError {
    fn from(refusal: FirstRefusal) -> Self {
        let english = refusal.to_string();
        let (code, korean) = match refusal {
            FirstRefusal::WordNeeded => (
                code::FIRST_WORD_NEEDED,
                "서버가 아닌 다른 컴퓨터에서 `admin`으로 처음 로그인하려면 이 설치의 첫 단어를 `firstWord`로 보내야 합니다: 서버에서 \
                 `paas init`을 실행하면 보이고, 데몬이 시작할 때 로그에도 남습니다",
            ),
            FirstRefusal::WrongWord => (
                code::WRONG_FIRST_WORD,
                "이 설치의 첫 단어가 아닙니다: 서버에서 `paas init`을 실행하면 보이고, 데몬이 시작할 때 로그에도 남습니다",
            ),
            FirstRefusal::Elsewhere => (
                code::FIRST_LOGIN_ELSEWHERE,
                "`admin`의 첫 비밀번호를 바꾸기 전에는 서버 자신이나 같은 내부 네트워크에서만 로그인할 수 있습니다: 그곳에서 로그인하거나, \
                 서버에서 `paas admin reset-password`로 다른 비밀번호를 정하세요",
            ),
            FirstRefusal::BehindProxy => (
                code::FIRST_LOGIN_ELSEWHERE,
                "`admin`의 첫 비밀번호를 바꾸기 전에는 어디에서 로그인하는지가 중요한데, 사이에 있는 프록시가 알려 주지 않습니다: 서버에서 \
                 직접 포털을 열거나, 서버에서 `paas admin reset-password`로 다른 비밀번호를 정하거나, 프록시가 X-Forwarded-For를 보내게 \
                 하고 PAAS_TRUSTED_PROXIES에 넣으세요",
            ),
        };
        Self::new(code, Text { english, korean: korean.to_owned() })
    }
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        let english = error.to_string();
        match error {
            ChangeError::Wrong => {
                let korean = "현재 비밀번호가 틀렸습니다: 잊었다면 서버에서 `paas admin reset-password`를 실행하세요";
                Self::new(code::WRONG_PASSWORD, Text { english, korean: korean.to_owned() })
            }
            ChangeError::Rule(rule) => Self::new(code::BAD_PASSWORD, Text { english, korean: in_korean(rule) }),
            ChangeError::Refused(refused) => refused.into(),
            ChangeError::Failed(failure) => failure.into(),
        }
    }
}

fn in_korean(rule: PasswordRule) -> String {
    match rule {
        PasswordRule::TooShort => format!("새 비밀번호가 너무 짧습니다: {MIN_CHARS}자 이상으로 정하세요"),
        PasswordRule::TooLong { bytes } => {
            format!("새 비밀번호가 {bytes}바이트입니다: {MAX_BYTES}바이트 이하로 정하세요(한글 한 자는 3바이트)")
        }
        PasswordRule::Control => "새 비밀번호에 입력할 수 없는 제어 문자가 있습니다: 빼고 정하세요".to_owned(),
        PasswordRule::LikeTheName => {
            "새 비밀번호가 사용자 이름과 거의 같아요. 이름을 아는 사람도 짐작할 수 없는 것으로 정해 주세요".to_owned()
        }
        PasswordRule::Common => {
            "많은 사람이 쓰는 비밀번호라서 금방 뚫릴 수 있어요. 나만 떠올릴 낱말 서너 개를 이어서 정해 주세요"
                .to_owned()
        }
        PasswordRule::LikeTheCurrent => "새 비밀번호가 현재 비밀번호와 같습니다: 다르게 정하세요".to_owned(),
    }
}

impl From<KeyError> for ApiError {
    fn from(error: KeyError) -> Self {
        let english = error.to_string();
        match error {
            KeyError::BadName => {
                let korean =
                    format!("키 이름은 제어 문자나 글 방향을 바꾸는 문자 없이 1자에서 {MAX_KEY_NAME}자여야 합니다");
                Self::new(code::BAD_KEY_NAME, Text { english, korean })
            }
            KeyError::TooMany => {
                let korean = format!("키가 이미 {MAX_KEYS}개 있습니다: 쓰지 않는 키를 지우세요");
                Self::new(code::TOO_MANY_KEYS, Text { english, korean })
            }
            KeyError::Failed(failure) => failure.into(),
        }
    }
}

impl From<PeopleError> for ApiError {
    fn from(error: PeopleError) -> Self {
        match error {
            PeopleError::BadName(error) => bad_name(&error),
            PeopleError::Exists { name } => Self::new(
                code::USER_EXISTS,
                said!(
                    "there is a user `{name}` already: take another name, or make a new link for them with \
                     `POST /users/{name}/invitation`",
                    "`{name}` 사용자가 이미 있습니다: 다른 이름을 쓰거나 `POST /users/{name}/invitation`으로 새 링크를 만드세요"
                ),
            ),
            PeopleError::NoSuchUser { name } => no_such_user(&name),
            PeopleError::LastAdmin => Self::new(
                code::LAST_ADMIN,
                said!(
                    "this is the last admin, and nobody else could run the server: make somebody else an admin first",
                    "마지막 관리자라서 다른 사람이 서버를 운영할 수 없게 됩니다: 먼저 다른 사람을 관리자로 정하세요"
                ),
            ),
            PeopleError::Failed(failure) => failure.into(),
        }
    }
}

impl From<LinkError> for ApiError {
    fn from(error: LinkError) -> Self {
        let english = error.to_string();
        match error {
            LinkError::BadName => {
                let korean =
                    format!("링크 이름은 제어 문자나 글 방향을 바꾸는 문자 없이 1자에서 {MAX_LINK_NAME}자여야 합니다");
                Self::new(code::BAD_LINK, Text { english, korean })
            }
            LinkError::BadLife => {
                let korean =
                    format!("링크를 쓸 수 있는 날은 1일에서 {MAX_LINK_DAYS}일까지입니다: 끝없이 쓰려면 비워 두세요");
                Self::new(code::BAD_LINK, Text { english, korean })
            }
            LinkError::TooMany => {
                let korean = format!("링크가 이미 {MAX_LINKS}개 있습니다: 쓰지 않는 링크를 거두세요");
                Self::new(code::TOO_MANY_LINKS, Text { english, korean })
            }
            LinkError::Failed(failure) => failure.into(),
        }
    }
}

impl From<SitePasswordError> for ApiError {
    fn from(error: SitePasswordError) -> Self {
        let english = error.to_string();
        match error {
            SitePasswordError::Rule(rule) => Self::new(code::BAD_PASSWORD, Text { english, korean: in_korean(rule) }),
            SitePasswordError::Refused(refused) => refused.into(),
            SitePasswordError::Failed(failure) => failure.into(),
        }
    }
}

/// Of a hand-over, where nothing but what the site's host has sent along can be wrong.
impl From<EnterError> for ApiError {
    fn from(error: EnterError) -> Self {
        match error {
            EnterError::Wrong => Self::new(
                code::BAD_HAND_OVER,
                said!(
                    "the way to the site has broken: open the site itself and sign in from there",
                    "사이트로 가는 길이 끊겼습니다: 사이트를 직접 열고 거기에서 로그인하세요"
                ),
            ),
            EnterError::Refused(refused) => refused.into(),
            EnterError::Failed(failure) => failure.into(),
        }
    }
}

impl From<AcceptError> for ApiError {
    fn from(error: AcceptError) -> Self {
        let english = error.to_string();
        match error {
            AcceptError::NoSuchInvitation => no_such_invitation(),
            AcceptError::CodeNeeded => code_needed(english),
            AcceptError::WrongCode => wrong_code(english),
            AcceptError::Rule(rule) => {
                Self::new(code::BAD_PASSWORD, Text { english: rule.to_string(), korean: in_korean(rule) })
            }
            AcceptError::Refused(refused) => refused.into(),
            AcceptError::Failed(failure) => failure.into(),
        }
    }
}

fn code_needed(english: String) -> ApiError {
    let korean =
        "이 계정은 두 번째 확인을 씁니다: 휴대폰에 나온 여섯 자리 숫자나 복구 코드를 `code`로 보내세요".to_owned();
    ApiError::new(code::CODE_NEEDED, Text { english, korean })
}

fn wrong_code(english: String) -> ApiError {
    let korean =
        "코드가 틀렸거나 오래됐거나 이미 사용했습니다: 휴대폰에 다음 숫자가 나올 때까지 기다리거나 복구 코드를 쓰세요"
            .to_owned();
    ApiError::new(code::WRONG_CODE, Text { english, korean })
}

impl From<TotpError> for ApiError {
    fn from(error: TotpError) -> Self {
        let english = error.to_string();
        match error {
            TotpError::WrongPassword => ChangeError::Wrong.into(),
            TotpError::WrongCode => wrong_code(english),
            TotpError::NotBegun => {
                let korean = "첫 코드를 기다리는 두 번째 확인이 없습니다: `POST /auth/totp`부터 시작하세요".to_owned();
                Self::new(code::SECOND_STEP_NOT_BEGUN, Text { english, korean })
            }
            TotpError::On => {
                let korean = "두 번째 확인이 이미 켜져 있습니다: 다른 휴대폰을 쓰려면 먼저 끄세요".to_owned();
                Self::new(code::SECOND_STEP_ON, Text { english, korean })
            }
            TotpError::Refused(refused) => refused.into(),
            TotpError::Failed(failure) => failure.into(),
        }
    }
}
