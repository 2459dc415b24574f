//! E-mail addresses and phone numbers as people write them.

/// An e-mail address without the spaces around it, if it looks like one: something, an `@`, and a host with a dot or `localhost`.
pub fn email(text: &str) -> Option<&str> {
    let text = text.trim();
    let (local, host) = text.rsplit_once('@')?;
    let plain = |part: &str| {
        !part.is_empty() && !part.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, '@' | '<' | '>' | ',' | ';'))
    };
    (text.len() <= 254
        && plain(local)
        && plain(host)
        && (host.contains('.') || host == "localhost")
        && !host.starts_with('.')
        && !host.ends_with('.'))
    .then_some(text)
}

/// A phone number in E.164 (`+` and 7 to 15 digits), from how people write international numbers: spaces, dots, dashes, slashes
/// and brackets are left out, `00` in front means `+`.
pub fn normalized_phone(text: &str) -> Option<String> {
    let mut compact = text.trim().to_owned();
    compact.retain(|c| !matches!(c, ' ' | '\u{a0}' | '.' | '-' | '(' | ')' | '/'));
    let digits = compact.strip_prefix('+').or_else(|| compact.strip_prefix("00"))?;
    let is_number = (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    is_number.then(|| format!("+{digits}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e_mail_addresses() {
        for good in ["a@b.co", " a.b+c@x-y.example ", "a@localhost"] {
            assert_eq!(email(good), Some(good.trim()), "{good}");
        }
        for bad in ["", "a", "@b.co", "a@", "a@b", "a b@c.de", "a@b@c.de", "a@.de", "a@de.", "a@b,c.de"] {
            assert_eq!(email(bad), None, "{bad}");
        }
    }

    #[test]
    fn phone_numbers_become_e164() {
        for written in ["+1 (234) 567-890", "001 234 567 890", "+1.234.567.890", "+1234567890", " +12 3456/7890"] {
            assert_eq!(normalized_phone(written).as_deref(), Some("+1234567890"), "{written}");
        }
        for bad in
            ["", "+", "1234567890", "+123456", "+1234567890123456", "+0123456789", "+12345x7890", "++1234567890", "+１２３４５６７８９"]
        {
            assert_eq!(normalized_phone(bad), None, "{bad}");
        }
    }
}
