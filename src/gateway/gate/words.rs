//! The words of the gate's pages, in both languages.

use super::EntryRefused;
use super::page::GatePage;
use crate::gateway::language::Language;
use crate::model::Audience;

/// What a page says, in one language.
pub(super) struct Text {
    pub(super) title: &'static str,
    pub(super) message: String,
    /// Of the field for a link, and its button.
    pub(super) code: Option<(&'static str, &'static str)>,
    /// Of the field for the site's password, and its button.
    pub(super) password: Option<(&'static str, &'static str)>,
    pub(super) sign_in: Option<&'static str>,
}

impl GatePage {
    pub(super) fn text(self, language: Language) -> Text {
        match language {
            Language::Korean => self.korean(),
            Language::English => self.english(),
        }
    }

    fn korean(self) -> Text {
        let sign_in = Some("주인으로 로그인하기");
        let text = |title, message: &str, password, sign_in| {
            let message = message.to_owned();
            Text { title, message, code: None, password, sign_in }
        };
        let password = |has| if has { Some(("비밀번호", "들어가기")) } else { None };
        let mut text = match self {
            Self::Closed { for_whom: Audience::Guests, password: has, .. } => {
                let message = if has {
                    "초대 링크를 눌러서 들어오거나, 비밀번호를 적어 주세요. 둘 다 없으면 주인에게 부탁해 주세요."
                } else {
                    "받은 초대 링크를 눌러서 들어와 주세요. 링크가 없으면 주인에게 부탁해 주세요."
                };
                text("초대한 사람만 볼 수 있어요", message, password(has), sign_in)
            }
            Self::Closed { .. } => text(
                "이 사이트는 주인만 볼 수 있어요",
                "내 사이트라면 로그인해 주세요. 아니라면 보여 달라고 주인에게 부탁해 주세요.",
                None,
                sign_in,
            ),
            Self::ReadOnly { for_whom: Audience::Guests, password: has, .. } => {
                let message = if has {
                    "쓰고 지우는 것은 초대한 사람만 할 수 있어요. 초대 링크를 눌러서 다시 들어오거나, 비밀번호를 적어 주세요."
                } else {
                    "쓰고 지우는 것은 초대한 사람만 할 수 있어요. 초대 링크를 눌러서 다시 들어와 주세요."
                };
                text("보기만 할 수 있어요", message, password(has), sign_in)
            }
            Self::ReadOnly { .. } => text(
                "보기만 할 수 있어요",
                "쓰고 지우는 것은 주인만 할 수 있어요. 내 사이트라면 로그인해 주세요.",
                None,
                sign_in,
            ),
            Self::Enter { password: has, .. } => {
                let message = if has {
                    "비밀번호를 적어 주세요. 초대 링크를 받았다면 그 링크를 누르기만 하면 돼요."
                } else {
                    "초대 링크를 누르면 저절로 들어가요. 저절로 들어가지 않으면 받은 링크를 여기에 붙여 넣어 주세요."
                };
                let code = Some(("받은 초대 링크 붙여 넣기", "들어가기"));
                Text { code, ..text("초대받은 사람으로 들어가기", message, password(has), None) }
            }
            Self::Elsewhere => {
                text("다른 사이트에서 보낸 요청이에요", "이 사이트를 직접 열고 다시 해 주세요.", None, None)
            }
            Self::BadForm => text("알아들을 수 없는 요청이에요", "사이트를 다시 열고 다시 해 주세요.", None, None),
            Self::Nothing => text("여기에는 아무것도 없어요", "주소를 다시 한번 확인해 주세요.", None, None),
        };
        match (self.refused(), self) {
            (None, _) => {}
            (Some(EntryRefused::Wrong), Self::Enter { .. }) => {
                "이 초대는 이제 쓸 수 없어요. 주인에게 새 링크를 부탁해 주세요.".clone_into(&mut text.message);
            }
            // There is nothing to type it into.
            (Some(EntryRefused::Wrong), _) if text.password.is_none() => {}
            (Some(EntryRefused::Wrong), _) => "비밀번호가 맞지 않아요. 다시 적어 주세요.".clone_into(&mut text.message),
            (Some(EntryRefused::TooOften { after }), _) => {
                text.message = format!("여러 번 틀려서 잠시 쉬어야 해요. {}초 뒤에 다시 해 주세요.", after.as_secs());
            }
            (Some(EntryRefused::Unable), _) => {
                "지금은 확인할 수 없어요. 잠시 뒤에 다시 해 주세요.".clone_into(&mut text.message);
            }
        }
        text
    }

    fn english(self) -> Text {
        let sign_in = Some("Sign in as its owner");
        let text = |title, message: &str, password, sign_in| {
            let message = message.to_owned();
            Text { title, message, code: None, password, sign_in }
        };
        let password = |has| if has { Some(("Password", "Come in")) } else { None };
        let mut text = match self {
            Self::Closed { for_whom: Audience::Guests, password: has, .. } => {
                let message = if has {
                    "Come in by your invitation link, or type the password. If you have neither, ask the owner."
                } else {
                    "Come in by the invitation link you were sent. If you have none, ask the owner."
                };
                text("Only people who were invited can see this site", message, password(has), sign_in)
            }
            Self::Closed { .. } => text(
                "Only its owner can see this site",
                "If it is yours, sign in. If not, ask the owner to show it to you.",
                None,
                sign_in,
            ),
            Self::ReadOnly { for_whom: Audience::Guests, password: has, .. } => {
                let message = if has {
                    "Only people who were invited can write and delete. Come in anew by your invitation link, or type the password."
                } else {
                    "Only people who were invited can write and delete. Come in anew by your invitation link."
                };
                text("You can look here, and change nothing", message, password(has), sign_in)
            }
            Self::ReadOnly { .. } => text(
                "You can look here, and change nothing",
                "Only the owner can write and delete. If it is yours, sign in.",
                None,
                sign_in,
            ),
            Self::Enter { password: has, .. } => {
                let message = if has {
                    "Type the password. If you were sent an invitation link, opening that is enough."
                } else {
                    "An invitation link lets you in by itself. If it does not, paste it here."
                };
                let code = Some(("Paste the invitation link", "Come in"));
                Text { code, ..text("Come in as a guest", message, password(has), None) }
            }
            Self::Elsewhere => text("This came from another site", "Open this site itself and try again.", None, None),
            Self::BadForm => text("This request makes no sense", "Open the site anew and try again.", None, None),
            Self::Nothing => text("There is nothing here", "Please check the address once more.", None, None),
        };
        match (self.refused(), self) {
            (None, _) => {}
            (Some(EntryRefused::Wrong), Self::Enter { .. }) => {
                "This invitation does not work any more. Ask the owner for a new link.".clone_into(&mut text.message);
            }
            // There is nothing to type it into.
            (Some(EntryRefused::Wrong), _) if text.password.is_none() => {}
            (Some(EntryRefused::Wrong), _) => {
                "That is not the password. Please type it again.".clone_into(&mut text.message);
            }
            (Some(EntryRefused::TooOften { after }), _) => {
                text.message = format!("That was wrong too often. Please try again in {} seconds.", after.as_secs());
            }
            (Some(EntryRefused::Unable), _) => {
                "This cannot be checked right now. Please try again in a moment.".clone_into(&mut text.message);
            }
        }
        text
    }
}

/// For owners who came by a name that the portal does not send them back to.
pub(super) fn by_own_name(language: Language) -> &'static str {
    match language {
        Language::Korean => "주인은 사이트의 원래 주소로 들어와야 로그인할 수 있어요.",
        Language::English => "Owners can sign in only at the site's own address.",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn all() -> Vec<GatePage> {
        let refused = [
            None,
            Some(EntryRefused::Wrong),
            Some(EntryRefused::TooOften { after: Duration::from_secs(9) }),
            Some(EntryRefused::Unable),
        ];
        let mut pages = vec![GatePage::Elsewhere, GatePage::BadForm, GatePage::Nothing];
        for refused in refused {
            pages.push(GatePage::Closed { for_whom: Audience::Owner, password: false, refused });
            pages.push(GatePage::ReadOnly { for_whom: Audience::Owner, password: false, refused });
            for password in [false, true] {
                pages.push(GatePage::Enter { password, refused });
                pages.push(GatePage::Closed { for_whom: Audience::Guests, password, refused });
                pages.push(GatePage::ReadOnly { for_whom: Audience::Guests, password, refused });
            }
        }
        pages
    }

    #[test]
    fn every_page_is_said_kindly_in_both_languages() {
        for page in all() {
            let (korean, english) = (page.text(Language::Korean), page.text(Language::English));
            let ends: Vec<_> = korean.message.split_terminator(". ").chain([korean.title]).collect();
            let polite = |end: &&str| {
                let end = end.trim_end_matches('.');
                end.ends_with('요') || end.ends_with('기')
            };
            assert!(ends.iter().all(polite), "{page:?}: {ends:?}");
            assert!(english.message.is_ascii() && english.message.ends_with('.'), "{page:?}: {}", english.message);
            assert_eq!(korean.code.is_some(), english.code.is_some(), "{page:?}");
            assert_eq!(korean.password.is_some(), english.password.is_some(), "{page:?}");
            assert_eq!(korean.sign_in.is_some(), english.sign_in.is_some(), "{page:?}");
            for text in [&korean, &english] {
                assert!(!text.message.contains('!'), "{page:?}");
            }
        }
    }
}
