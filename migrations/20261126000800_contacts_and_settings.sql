-- As search_customers: by a tag, and perhaps a part of the name, number or e-mail as well.
CREATE FUNCTION tagged_customers(tag text, term text, most integer) RETURNS SETOF uuid LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = public, pg_temp SET enable_bitmapscan = on SET plan_cache_mode = force_custom_plan AS $$
DECLARE
  tenant integer := current_tenant();
  pattern text := '%' || replace(replace(replace(lower(coalesce(term, '')), '\', '\\'), '%', '\%'), '_', '\_') || '%';
BEGIN
  RETURN QUERY SELECT c.id FROM customers c
    WHERE c.tenant_id = tenant AND c.merged_into IS NULL AND c.tags <> '{}' AND c.tags @> ARRAY[tag]
      AND lower(coalesce(c.name, '') || ' ' || coalesce(c.phone_number, '') || ' ' || coalesce(c.email, '')) LIKE pattern
    ORDER BY c.id DESC LIMIT most;
END
$$;
COMMENT ON FUNCTION tagged_customers(text, text, integer) IS 'Customers of the transaction''s tenant that have the tag, newest first.';
REVOKE ALL ON FUNCTION tagged_customers(text, text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tagged_customers(text, text, integer) TO switchboard_api, switchboard_operator;

CREATE INDEX contact_imports_created ON contact_imports (tenant_id, created_at);

CREATE FUNCTION override_ttl(tenant integer, usual float8) RETURNS interval LANGUAGE sql STABLE AS $$
  SELECT make_interval(secs => coalesce((SELECT (settings ->> 'humanOverrideTtlSeconds')::float8 FROM tenants WHERE id = tenant), usual))
$$;
COMMENT ON FUNCTION override_ttl(integer, float8) IS 'How long a person''s message keeps the bot away: what the tenant''s settings say, else the usual seconds.';

-- Every secret of a tenant belongs to one of its channels.
ALTER TABLE tenants DROP COLUMN secrets;
