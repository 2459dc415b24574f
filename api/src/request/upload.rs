//! A file in a request: a form's field `file`, or the whole body.

use super::read_limited;
use crate::ApiError;
use bytes::Bytes;
use salvo::{
    Depot, Extractible, Request, Writer,
    extract::Metadata,
    http::{ReqBody, StatusCode, header::CONTENT_TYPE},
    oapi::{
        BasicType, Components, Content, EndpointArgRegister, KnownFormat, Object, Operation, RequestBody, Required, Schema, SchemaFormat,
    },
};
use std::fmt::Debug;

/// The largest CSV file.
const MOST_BYTES: usize = 10 * 1024 * 1024;
/// The largest document.
const MOST_DOCUMENT_BYTES: usize = 20 * 1024 * 1024;
/// What a form adds around it.
const FORM_BYTES: usize = 16 * 1024;

/// A CSV file of at most 10 MiB.
#[derive(Debug)]
pub(crate) struct CsvUpload {
    pub name: Option<String>,
    pub bytes: Bytes,
}

impl<'ex> Extractible<'ex> for CsvUpload {
    fn metadata() -> &'static Metadata {
        static METADATA: Metadata = Metadata::new("");
        &METADATA
    }

    async fn extract(req: &'ex mut Request, _depot: &'ex mut Depot) -> Result<Self, impl Writer + Send + Debug + 'static> {
        read(req).await
    }
}

async fn read(req: &mut Request) -> Result<CsvUpload, ApiError> {
    let content_type = req.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_ascii_lowercase();
    let is_form = content_type.starts_with("multipart/form-data");
    if !is_form && !content_type.starts_with("text/csv") {
        let message = "Send the file as text/csv, or in the field file of a multipart/form-data form";
        return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message));
    }
    let bytes = read_limited(req, if is_form { MOST_BYTES + FORM_BYTES } else { MOST_BYTES }).await?;
    if !is_form {
        return Ok(CsvUpload { name: None, bytes });
    }
    req.replace_body(ReqBody::Once(bytes));
    let form = req.form_data_max_size(MOST_BYTES + FORM_BYTES).await;
    let form = form.map_err(|error| ApiError::invalid_field("file", "The form cannot be read").with_detail(&error))?;
    let part = form.files.get("file").ok_or_else(|| ApiError::invalid_field("file", "is required"))?;
    let name = part.name().map(|name| name.chars().filter(|c| !c.is_control()).take(200).collect());
    let bytes = tokio::fs::read(part.path()).await.map_err(|error| ApiError::internal(&error))?;
    Ok(CsvUpload { name, bytes: bytes.into() })
}

impl EndpointArgRegister for CsvUpload {
    fn register(_components: &mut Components, operation: &mut Operation, _arg: &str) {
        let file = Object::with_type(BasicType::String).format(SchemaFormat::KnownFormat(KnownFormat::Binary));
        let form = Object::new().property("file", Schema::from(file)).required("file");
        let text = Object::with_type(BasicType::String);
        operation.request_body = Some(
            RequestBody::new()
                .add_content("multipart/form-data", Content::new(Schema::from(form)))
                .add_content("text/csv", Content::new(Schema::from(text)))
                .required(Required::True),
        );
    }
}

/// A document of at most 20 MiB, with what its form says about it.
#[derive(Debug)]
pub(crate) struct DocumentUpload {
    pub name: String,
    pub bytes: Bytes,
    pub tenant_id: Option<String>,
    /// JSON, if the client kept to it.
    pub metadata: Option<String>,
}

impl<'ex> Extractible<'ex> for DocumentUpload {
    fn metadata() -> &'static Metadata {
        static METADATA: Metadata = Metadata::new("");
        &METADATA
    }

    async fn extract(req: &'ex mut Request, _depot: &'ex mut Depot) -> Result<Self, impl Writer + Send + Debug + 'static> {
        read_document(req).await
    }
}

async fn read_document(req: &mut Request) -> Result<DocumentUpload, ApiError> {
    let content_type = req.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_ascii_lowercase();
    if !content_type.starts_with("multipart/form-data") {
        let message = "Send the file in the field file of a multipart/form-data form";
        return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message));
    }
    let most = MOST_DOCUMENT_BYTES + FORM_BYTES * 2;
    let bytes = read_limited(req, most).await?;
    req.replace_body(ReqBody::Once(bytes));
    let form = req.form_data_max_size(most).await;
    let form = form.map_err(|error| ApiError::invalid_field("file", "The form cannot be read").with_detail(&error))?;
    let part = form.files.get("file").ok_or_else(|| ApiError::invalid_field("file", "is required"))?;
    let name: String = part.name().unwrap_or("document").chars().filter(|c| !c.is_control()).take(200).collect();
    let bytes: Bytes = tokio::fs::read(part.path()).await.map_err(|error| ApiError::internal(&error))?.into();
    if bytes.len() > MOST_DOCUMENT_BYTES {
        return Err(ApiError::from_status(StatusCode::PAYLOAD_TOO_LARGE));
    }
    let name = if name.trim().is_empty() { "document".to_owned() } else { name };
    let field = |name: &str| form.fields.get(name).map(String::from).filter(|text| !text.trim().is_empty());
    Ok(DocumentUpload { name, bytes, tenant_id: field("tenant_id"), metadata: field("metadata") })
}

impl EndpointArgRegister for DocumentUpload {
    fn register(_components: &mut Components, operation: &mut Operation, _arg: &str) {
        let file = Object::with_type(BasicType::String).format(SchemaFormat::KnownFormat(KnownFormat::Binary));
        let text = || Schema::from(Object::with_type(BasicType::String));
        let form =
            Object::new().property("file", Schema::from(file)).property("tenant_id", text()).property("metadata", text()).required("file");
        let body = RequestBody::new().add_content("multipart/form-data", Content::new(Schema::from(form))).required(Required::True);
        operation.request_body = Some(body);
    }
}
