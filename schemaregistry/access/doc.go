// Package access decides who asks the schema registry, and what they may do: passwords in an htpasswd file (bcrypt),
// tokens in a file, tokens signed with a key of a JWKS file, certificates of clients, and a file of permissions by
// subject. Files are read again when they have changed.
//
//	request ── Authenticate ──▶ principal ── Allows(principal, operation, subject) ──▶ yes or no
//
// It knows no subject, version or path of the registry's API: what an operation is about is the API's business. No
// secret is in an error.
package access
