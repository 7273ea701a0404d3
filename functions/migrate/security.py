"""Check row-level security: the roles of the functions, their policies and their privileges. PostgreSQL only."""

import re
from collections.abc import Generator, Iterator
from typing import Any

from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from functions.migrate.contract import ROLES, TABLES, TURN_USER, Access

_ATTRIBUTES = """
SELECT rolname, rolcanlogin, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication,
    EXISTS (SELECT FROM pg_auth_members WHERE member = pg_roles.oid) AS is_member,
    EXISTS (SELECT FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = pg_roles.oid
        AND deptype = 'o') AS is_owner
FROM pg_roles WHERE rolname = ANY(:roles)
"""
_FORBIDDEN = {
    "rolcanlogin": "may log in",
    "rolsuper": "is a superuser",
    "rolbypassrls": "bypasses row-level security",
    "rolcreaterole": "may create roles",
    "rolcreatedb": "may create databases",
    "rolreplication": "may replicate",
    "is_member": "is a member of another role",
    "is_owner": "owns something",
}
_MAY_CHANGE_TO = "SELECT pg_has_role(:role, CASE WHEN :version >= 160000 THEN 'SET' ELSE 'MEMBER' END)"
_TABLE = "SELECT relrowsecurity, relforcerowsecurity, relowner FROM pg_class WHERE oid = to_regclass(:table)"
_POLICIES = """
SELECT polname, polpermissive, polcmd, cardinality(polroles) AS roles,
    pg_get_expr(polqual, polrelid) AS rows, coalesce(pg_get_expr(polwithcheck, polrelid), '') AS check
FROM pg_policy WHERE polrelid = to_regclass(:table)
AND polroles && ARRAY(SELECT oid FROM pg_roles WHERE rolname = :role UNION SELECT 0::oid)
ORDER BY polname
"""
# The second list has the columns on which the role has a privilege. One on the whole table is on all of them.
_PRIVILEGES = """
SELECT privilege, has_table_privilege(:role, to_regclass(:table), privilege) AS on_table,
    ARRAY(SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(:table) AND attnum > 0 AND NOT attisdropped
        AND privilege IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES')
        AND has_column_privilege(:role, attrelid, attnum, privilege)) AS columns
FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS privilege
"""
_SEQUENCES = """
SELECT attname, has_sequence_privilege(:role, pg_get_serial_sequence(:table, attname), 'USAGE')
FROM pg_attribute WHERE attrelid = to_regclass(:table) AND attnum > 0 AND NOT attisdropped
AND pg_get_serial_sequence(:table, attname) IS NOT NULL
"""
_OTHER_RELATIONS = """
SELECT relname, rolname FROM pg_class, aclexplode(relacl) JOIN pg_roles ON pg_roles.oid = grantee
WHERE rolname = ANY(:roles) AND relkind <> 'S' AND relname <> ALL(:tables) AND relnamespace = to_regnamespace(:schema)
"""
_FUNCTIONS = """
SELECT proname, proowner, proconfig, has_function_privilege('taskchat_app', pg_proc.oid, 'EXECUTE') AS is_granted,
    EXISTS (SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) WHERE grantee = 0) AS is_public
FROM pg_proc WHERE prosecdef AND pronamespace = to_regnamespace(:schema)
"""


def security_faults(connection: Connection) -> Iterator[str]:
    """Yield each difference from the contract in words. The database must have all tables of the contract."""
    schema = connection.execute(text("SELECT quote_ident(current_schema())")).scalar_one()
    missing = yield from _faults_of_roles(connection)
    for name, table in TABLES.items():
        found = connection.execute(text(_TABLE), {"table": name}).one()
        if not found.relrowsecurity:
            yield f"{name}: row-level security is disabled"
        if found.relforcerowsecurity:
            yield f"{name}: row-level security is forced on the owner, whose functions would see no row"
        for role in ROLES:
            if role not in missing:
                access = table.access.get(role)
                yield from (f"{name}: {fault}" for fault in _faults_of_access(connection, name, role, access))
    if not missing:
        yield from _faults_of_functions(connection, schema)
        parameters = {"roles": list(ROLES), "tables": list(TABLES), "schema": schema}
        for relation, role in connection.execute(text(_OTHER_RELATIONS), parameters):
            yield f"role {role} has a privilege on {relation}"


def restore_security(connection: Connection, scripts: ScriptDirectory) -> list[str]:
    """Execute the statements of all revisions if anything differs, and return the name of what was restored."""
    if next(security_faults(connection), None) is None:
        return []
    for script in reversed(list(scripts.walk_revisions())):
        for statement in getattr(script.module, "SECURITY", ()):
            connection.exec_driver_sql(statement.replace("%", "%%"))
    return ["row-level security"]


def _faults_of_roles(connection: Connection) -> Generator[str, None, set[str]]:
    """Yield the faults of the roles, and return the names of missing ones."""
    found = {row.rolname: row for row in connection.execute(text(_ATTRIBUTES), {"roles": list(ROLES)})}
    for role in ROLES:
        if role not in found:
            yield f"role {role} is missing"
            continue
        for attribute, words in _FORBIDDEN.items():
            if getattr(found[role], attribute):
                yield f"role {role} {words}"
    for role in set(ROLES) & set(found):
        yield from _faults_of_change(connection, role)
    return set(ROLES) - set(found)


def _faults_of_change(connection: Connection, role: str) -> Iterator[str]:
    """Change to the role, if that is allowed, and look for the tables as a function would."""
    version = connection.execute(text("SELECT current_setting('server_version_num')::int")).scalar_one()
    if not connection.execute(text(_MAY_CHANGE_TO), {"role": role, "version": version}).scalar_one():
        yield f"role {role} is not granted to the role that migrates"
        return
    own = connection.execute(text("SELECT current_setting('role')")).scalar_one()
    tables = text("SELECT name FROM unnest(CAST(:tables AS text[])) AS name WHERE to_regclass(name) IS NOT NULL")
    _take_role(connection, role)
    found = set(connection.execute(tables, {"tables": list(TABLES)}).scalars())
    _take_role(connection, own)
    if missing := sorted(set(TABLES) - found):
        yield (
            f"role {role} does not find {', '.join(missing)}: the search_path of the role that logs in must name their "
            'schema without "$user", and the role needs USAGE on the schema'
        )


def _take_role(connection: Connection, role: str) -> None:
    connection.execute(text("SELECT set_config('role', :role, true)"), {"role": role})


def _faults_of_access(connection: Connection, table: str, role: str, access: Access | None) -> Iterator[str]:
    wanted = access or Access(rows="")
    parameters = {"table": table, "role": role}
    policies = {row.polname: row for row in connection.execute(text(_POLICIES), parameters)}
    own = policies.pop(role, None)
    yield from (f"policy {name} also applies to role {role}" for name in policies)
    if own is None and access is not None:
        yield f"policy {role} is missing"
    elif own is not None and not _is_as_wanted(own, wanted):
        yield f"policy {role} has another condition, command or role"
    for privilege, on_table, columns in connection.execute(text(_PRIVILEGES), parameters):
        if on_table is not (privilege in wanted.privileges):
            yield f"role {role} must {'' if privilege in wanted.privileges else 'not '}have {privilege}"
        elif not on_table and set(columns) != set(wanted.columns.get(privilege, ())):
            yield f"role {role} must have {privilege} on {', '.join(wanted.columns.get(privilege, ())) or 'no column'}"
    if "INSERT" in wanted.privileges:
        for column, is_granted in connection.execute(text(_SEQUENCES), parameters):
            if not is_granted:
                yield f"role {role} must have USAGE on the sequence of {column}"


def _is_as_wanted(policy: Any, wanted: Access) -> bool:
    return bool(
        policy.polpermissive
        and policy.polcmd == "*"
        and policy.roles == 1
        and _normal(policy.rows) == _normal(wanted.rows)
        and _normal(policy.check) == _normal(wanted.check)
    )


def _normal(condition: str) -> str:
    """Return a condition without what PostgreSQL adds to it when it prints it."""
    return re.sub(r'::text|as "?nullif"?|[\s()]', "", condition.casefold())


def _faults_of_functions(connection: Connection, schema: str) -> Iterator[str]:
    owner = connection.execute(text(_TABLE), {"table": "turns"}).one().relowner
    found = {row.proname: row for row in connection.execute(text(_FUNCTIONS), {"schema": schema})}
    own = found.pop(TURN_USER, None)
    if own is None or own.proowner != owner or not own.is_granted:
        yield f"function {TURN_USER} is missing, is not the owner's, or is not granted to taskchat_app"
    elif own.is_public or not any(setting.startswith("search_path=") for setting in own.proconfig or ()):
        yield f"function {TURN_USER} is granted to PUBLIC, or has no search_path of its own"
    for name, function in found.items():
        if function.is_granted and function.proowner == owner:
            yield f"function {name} runs as the owner of the tables and is granted to taskchat_app"
