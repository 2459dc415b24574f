//! The CSV file: which columns it has, and what its rows say.

use super::cells;
use csv::{ReaderBuilder, StringRecord};
use domain::contact_details::{email, normalized_phone};
use store::contacts::NewContact;

/// Rows of a file at most.
pub const MOST_ROWS: usize = 200_000;

/// A contact's columns, in the order in which they are exported. Only the first is needed.
pub const COLUMNS: [&str; 4] = ["phoneNumber", "name", "email", "tags"];

/// Why a file cannot be imported at all. For people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    #[error("the file is empty")]
    Empty,
    #[error("the file is not UTF-8: save it as CSV UTF-8")]
    NotUtf8,
    #[error("the first line has no column phoneNumber: name the columns phoneNumber,name,email,tags")]
    NoPhoneNumber,
    #[error("the first line names {0} twice")]
    Twice(&'static str),
    #[error("the file has more than 200000 rows: split it")]
    TooLong,
    #[error("the file cannot be read: {0}")]
    Broken(String),
}

/// What a row says: a contact, or why it is none.
pub type Row = Result<NewContact, String>;

/// Reads all rows. Columns are found by name, whatever their order; unknown ones are ignored. Fields are separated by commas or semicolons.
pub fn read(file: &[u8]) -> Result<Vec<Row>, FileError> {
    let text = std::str::from_utf8(file).map_err(|_| FileError::NotUtf8)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let first_line = text.lines().next().filter(|line| !line.trim().is_empty()).ok_or(FileError::Empty)?;
    let delimiter = if first_line.matches(';').count() > first_line.matches(',').count() { b';' } else { b',' };
    let mut reader = ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text.as_bytes());
    let broken = |error: csv::Error| FileError::Broken(error.to_string());
    let columns = Columns::of(reader.headers().map_err(broken)?)?;
    let mut rows = Vec::new();
    for record in reader.records() {
        if rows.len() == MOST_ROWS {
            return Err(FileError::TooLong);
        }
        rows.push(columns.contact(&record.map_err(broken)?));
    }
    Ok(rows)
}

struct Columns([Option<usize>; 4]);

impl Columns {
    fn of(header: &StringRecord) -> Result<Self, FileError> {
        let mut columns = [None; 4];
        for (index, title) in header.iter().enumerate() {
            let plain: String = title.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_ascii_lowercase();
            let place = match plain.as_str() {
                "phonenumber" | "phone" => 0,
                "name" => 1,
                "email" => 2,
                "tags" => 3,
                _ => continue,
            };
            if let (Some(column), Some(name)) = (columns.get_mut(place), COLUMNS.get(place))
                && column.replace(index).is_some()
            {
                return Err(FileError::Twice(name));
            }
        }
        if columns.first().copied().flatten().is_none() { Err(FileError::NoPhoneNumber) } else { Ok(Self(columns)) }
    }

    fn contact(&self, record: &StringRecord) -> Row {
        let [phone, name, mail, tags] =
            self.0.map(|column| column.and_then(|index| record.get(index)).map(str::trim).filter(|text| !text.is_empty()));
        let phone = phone.ok_or("phoneNumber: is missing")?;
        let phone_number = normalized_phone(phone.trim_start_matches('\''))
            .ok_or_else(|| format!("phoneNumber: {} is not an international number like +1234567890", shown(phone)))?;
        if let Some(name) = name
            && name.chars().count() > 200
        {
            return Err("name: must have at most 200 characters".to_owned());
        }
        let mail = mail.map(cells::plain);
        let mail = match mail {
            Some(text) => Some(email(text).ok_or_else(|| format!("email: {} is not an e-mail address", shown(text)))?.to_owned()),
            None => None,
        };
        let mut kept: Vec<String> = Vec::new();
        for tag in tags.map(cells::plain).unwrap_or_default().split([';', '|', ',']).map(str::trim).filter(|tag| !tag.is_empty()) {
            if tag.chars().count() > 50 {
                return Err("tags: must be texts of at most 50 characters".to_owned());
            }
            if !kept.iter().any(|known| known == tag) {
                kept.push(tag.to_owned());
            }
        }
        if kept.len() > 50 {
            return Err("tags: must be at most 50".to_owned());
        }
        let texts = [Some(phone_number.as_str()), name, mail.as_deref()];
        if texts.into_iter().flatten().chain(kept.iter().map(String::as_str)).any(|text| text.contains('\0')) {
            return Err("text must not contain the character U+0000".to_owned());
        }
        Ok(NewContact { phone_number, name: name.map(|text| cells::plain(text).to_owned()), email: mail, tags: kept })
    }
}

/// A cell as a report shows it.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contact(phone: &str, name: Option<&str>, mail: Option<&str>, tags: &[&str]) -> NewContact {
        let own = |text: Option<&str>| text.map(str::to_owned);
        NewContact {
            phone_number: phone.to_owned(),
            name: own(name),
            email: own(mail),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        }
    }

    fn contacts(file: &[u8]) -> Vec<NewContact> {
        read(file).unwrap().into_iter().map(Result::unwrap).collect()
    }

    #[test]
    fn columns_are_found_by_name_and_fields_by_either_separator() {
        let comma = "\u{feff}Name,Phone Number,Notes,tags,E-Mail\r\n\"Doe, John\",+1 234 567 890,x,\"vip;customer\",j@example.com\r\n";
        let semicolon = "phoneNumber;name\n0049 30 123456;Ann\n\n+1234567890\n";
        assert_eq!(contacts(comma.as_bytes()), [contact("+1234567890", Some("Doe, John"), Some("j@example.com"), &["vip", "customer"])]);
        assert_eq!(
            contacts(semicolon.as_bytes()),
            [contact("+4930123456", Some("Ann"), None, &[]), contact("+1234567890", None, None, &[])]
        );
    }

    #[test]
    fn a_row_that_is_wrong_says_why() {
        let rows = read(b"phoneNumber,name,email,tags\n,Ann,,\n123,Ann,,\n+1234567890,,nonsense,\n").unwrap();
        let reasons: Vec<String> = rows.into_iter().map(Result::unwrap_err).collect();
        assert_eq!(
            reasons,
            [
                "phoneNumber: is missing",
                "phoneNumber: 123 is not an international number like +1234567890",
                "email: nonsense is not an e-mail address"
            ]
        );
    }

    #[test]
    fn what_export_quoted_is_taken_off_again() {
        let rows = contacts(b"phoneNumber,name,tags\n'+1234567890,'=1+1,'-a;b\n");
        assert_eq!(rows, [contact("+1234567890", Some("=1+1"), None, &["-a", "b"])]);
    }

    #[test]
    fn files_that_are_none() {
        assert_eq!(read(b"").unwrap_err(), FileError::Empty);
        assert_eq!(read(b"\xff\xfe").unwrap_err(), FileError::NotUtf8);
        assert_eq!(read(b"name,email\nx,y\n").unwrap_err(), FileError::NoPhoneNumber);
        assert_eq!(read(b"phone,phoneNumber\n").unwrap_err(), FileError::Twice("phoneNumber"));
        assert_eq!(contacts(b"phoneNumber\n"), []);
    }
}
