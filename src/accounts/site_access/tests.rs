use super::*;

#[test]
fn only_a_path_of_the_same_site_is_one() {
    for (text, is) in [
        ("/", true),
        ("/a/b?c=d&e=%2F%2Fevil", true),
        ("//evil.test", false),
        ("/\\evil.test", false),
        ("/a\\b", false),
        ("/a\r\nb", false),
        ("/\t/evil.test", false),
        ("https://evil.test", false),
        ("", false),
        ("evil", false),
        ("/.paas/owner", false),
        ("/한글", false),
    ] {
        assert_eq!(is_path(text), is, "{text:?}");
    }
    assert!(!is_path(&format!("/{}", "a".repeat(MAX_PATH))));
}
