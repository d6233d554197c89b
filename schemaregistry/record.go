package schemaregistry

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// The records of the topic are Confluent's: JSON keys and values, one partition, compacted. Compaction compares bytes,
// so the members of a key and their order are part of the format:
//
//	{"keytype":"SCHEMA","subject":S,"version":N,"magic":1}    a version; null: removed for good
//	{"keytype":"CONFIG","subject":S,"magic":0}                compatibility; subject null: the default context's
//	{"keytype":"MODE","subject":S,"magic":0}                  mode, likewise
//	{"keytype":"DELETE_SUBJECT","subject":S,"magic":0}        versions up to the value's are soft-deleted
//	{"keytype":"CLEAR_SUBJECT","subject":S,"magic":0}         forget what is soft-deleted in the subject
//	{"keytype":"CONTEXT","tenant":"default","context":C,"magic":0}   the context is there
//	{"keytype":"NOOP","magic":0}                              nothing; its headers carry our highest ids, and who writes
//
// S is qualified with its context; a context alone, ":.c:", has settings.
const (
	schemaKey        = "SCHEMA"
	configKey        = "CONFIG"
	modeKey          = "MODE"
	deleteSubjectKey = "DELETE_SUBJECT"
	clearSubjectKey  = "CLEAR_SUBJECT"
	contextKey       = "CONTEXT"
	noopKey          = "NOOP"
)

// maxIDHeader begins the name of the headers of a NOOP record that keep the highest id ever given in a context, which
// is the rest of the name (nothing: the default one). The tombstones of a version that was deleted for good do not say
// which id it had, and an id must never mean two schemas. Confluent ignores headers.
const maxIDHeader = "sluice.max.id"

// writerHeader is the header of a NOOP record that says which node writes from it on; see claim.
const writerHeader = "sluice.writer"

type recordKey struct {
	Type    string  `json:"keytype"`
	Subject *string `json:"subject"`
	Version int     `json:"version"`
	Magic   int     `json:"magic"`
	Context string  `json:"context"`
}

// subject is the qualified name in its shortest spelling.
func (k recordKey) subject() string {
	if k.Subject == nil {
		return ""
	}
	return shortest(*k.Subject)
}

func parseKey(b []byte) (recordKey, error) {
	var k recordKey
	if err := json.Unmarshal(b, &k); err != nil {
		return k, fmt.Errorf("key %.200q: %w", b, err)
	}
	return k, nil
}

// keyOfSchema returns the key of a version.
func keyOfSchema(subject string, version int) []byte {
	return fmt.Appendf(nil, `{"keytype":"SCHEMA","subject":%s,"version":%d,"magic":1}`, quoted(subject), version)
}

// keyOf returns the key of another kind of record about a subject; "" is the default context.
func keyOf(kind, subject string) []byte {
	name := []byte("null")
	if subject != "" {
		name = quoted(subject)
	}
	return fmt.Appendf(nil, `{"keytype":"%s","subject":%s,"magic":0}`, kind, name)
}

func keyOfContext(context string) []byte {
	return fmt.Appendf(nil, `{"keytype":"CONTEXT","tenant":"default","context":%s,"magic":0}`, quoted(context))
}

func keyOfNoop() []byte { return []byte(`{"keytype":"NOOP","magic":0}`) }

// quoted returns s as a JSON string as Jackson writes it: json.Marshal would escape more.
func quoted(s string) []byte {
	b := []byte{'"'}
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ':
			b = fmt.Appendf(b, `\u%04X`, r)
		default:
			b = append(b, string(r)...)
		}
	}
	return append(b, '"')
}

// schemaValue is the value of a version.
type schemaValue struct {
	Subject    string      `json:"subject"`
	Version    int         `json:"version"`
	ID         int         `json:"id"`
	MD5        []byte      `json:"md5,omitempty"`
	Type       string      `json:"schemaType,omitempty"` // absent: AVRO
	References []reference `json:"references,omitempty"`
	Metadata   *metadata   `json:"metadata,omitempty"`
	RuleSet    *ruleSet    `json:"ruleSet,omitempty"`
	Schema     string      `json:"schema"`
	Deleted    bool        `json:"deleted"`
}

// configValue is the value of a CONFIG record, and what is configured for a scope.
type configValue struct {
	Subject          string    `json:"subject,omitempty"`
	Alias            string    `json:"alias,omitempty"`
	AliasForDeks     string    `json:"aliasForDeks,omitempty"`
	Normalize        *bool     `json:"normalize,omitempty"`
	ValidateFields   *bool     `json:"validateFields,omitempty"`
	ValidateNew      *bool     `json:"validateNewSchemas,omitempty"`
	ValidateRules    *bool     `json:"validateRules,omitempty"`
	Level            string    `json:"compatibilityLevel,omitempty"`
	Policy           string    `json:"compatibilityPolicy,omitempty"`
	Group            string    `json:"compatibilityGroup,omitempty"`
	DefaultMetadata  *metadata `json:"defaultMetadata,omitempty"`
	OverrideMetadata *metadata `json:"overrideMetadata,omitempty"`
	DefaultRuleSet   *ruleSet  `json:"defaultRuleSet,omitempty"`
	OverrideRuleSet  *ruleSet  `json:"overrideRuleSet,omitempty"`
}

type modeValue struct {
	Subject string `json:"subject,omitempty"`
	Mode    string `json:"mode"`
}

type deleteValue struct {
	Subject string `json:"subject"`
	Version int    `json:"version"`
}

type contextValue struct {
	Tenant  string `json:"tenant"`
	Context string `json:"context"`
}

// marshal returns v as JSON without escaping what HTML would need.
func marshal(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("schemaregistry: " + err.Error()) // plain structs only
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
