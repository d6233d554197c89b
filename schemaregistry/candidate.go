package schemaregistry

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// request is the body of a registration, a lookup and a compatibility check.
type request struct {
	Schema     string      `json:"schema"`
	Type       string      `json:"schemaType"`
	References []reference `json:"references"`
	Metadata   *metadata   `json:"metadata"`
	RuleSet    *ruleSet    `json:"ruleSet"`
	ID         *int        `json:"id"`
	Version    *int        `json:"version"`
}

// imports reports whether the schema brings an id along.
func (q request) imports() bool { return q.ID != nil && *q.ID >= 0 }

// version returns the version that is asked for, 0 for any.
func (q request) version() int {
	if q.Version == nil {
		return 0
	}
	return *q.Version
}

// filled returns the request with what the configuration and the newest version add: the metadata and rules that it does
// not name.
func (q request) filled(config configValue, live []*version) request {
	if n := len(live); n > 0 {
		before := live[n-1].schema
		if q.Metadata == nil {
			q.Metadata = before.metadata
		}
		if q.RuleSet == nil {
			q.RuleSet = before.ruleSet
		}
	}
	q.Metadata = config.DefaultMetadata.merged(q.Metadata).merged(config.OverrideMetadata)
	q.RuleSet = config.DefaultRuleSet.merged(q.RuleSet).merged(config.OverrideRuleSet)
	return q
}

// candidate is a schema that was sent, parsed. It has no id and no context yet.
type candidate struct {
	schema
	doc document
}

// parse reads the schema of a request for a subject: strictly if it is to be registered, else as if it were registered
// already.
func (s *state) parse(q request, name string, normalize, strict bool) (*candidate, error) {
	c := &candidate{schema: schema{kind: kindOf(q.Type), metadata: q.Metadata, ruleSet: q.RuleSet}}
	read := s.languages[c.kind]
	switch {
	case strings.TrimSpace(q.Schema) == "":
		return nil, invalidSchema(errors.New("empty schema"))
	case read == nil:
		return nil, invalidSchema(fmt.Errorf("schemas of type %s are not supported", c.kind))
	}
	in := contextOf(name)
	c.references = s.pinned(q.References, in)
	sent := sentText{c.kind, q.Schema, normalize, strict}
	parsed, known := parsedText{}, false
	if len(c.references) == 0 {
		parsed, known = s.documents.sent.get(sent)
	}
	if !known {
		var err error
		if parsed, err = s.read(read, sent, c.references, in); err != nil {
			return nil, invalidSchema(err)
		}
		if len(c.references) == 0 {
			s.documents.sent.put(sent, parsed, len(sent.text))
		}
	}
	if normalize {
		c.references = normalReferences(c.references)
	}
	c.doc, c.text = parsed.doc, parsed.text
	c.hash = hashOf(c.text, c.references, c.metadata, c.ruleSet)
	return c, nil
}

// read parses a text.
func (s *state) read(read parse, sent sentText, refs []reference, in string) (p parsedText, err error) {
	imports, err := s.importsOf(refs, in, !sent.strict, maxReferences)
	if err != nil {
		return p, err
	}
	if p.doc, err = read(sent.text, imports, !sent.strict); err != nil {
		return p, err
	}
	if sent.normalize {
		p.doc = p.doc.normal()
	}
	p.text = p.doc.text()
	return p, nil
}

func normalReferences(refs []reference) []reference {
	refs = slices.Clone(refs)
	slices.SortStableFunc(refs, func(a, b reference) int { return cmp.Compare(a.Name, b.Name) })
	return slices.Compact(refs)
}

// match returns the version that has the schema: the very same text, or else the newest of the same meaning. A schema
// that is sent with everything inside finds one that was registered with references.
func (s *state) match(c *candidate, versions []*version) *version {
	if v := exact(versions, c.kind, c.hash); v != nil {
		return v
	}
	for _, v := range slices.Backward(versions) {
		of := v.schema
		if of.kind != c.kind || len(c.references) > 0 && !slices.Equal(c.references, of.references) || !sameAbout(&c.schema, v) {
			continue
		}
		if other, err := s.document(of); err == nil && c.doc.same(other) {
			return v
		}
	}
	return nil
}

// sameAbout reports whether the same is said about both beside their texts. If only one of them names the number of a
// version, that is not said about it: the other is of any, or must have that number.
func sameAbout(a *schema, v *version) bool {
	b := v.schema
	if a.metadata == nil && b.metadata == nil && a.ruleSet == nil && b.ruleSet == nil {
		return true
	}
	mine, theirs := a.metadata, b.metadata
	number, numbered := mine.versionNumber()
	if _, is := theirs.versionNumber(); is != numbered {
		if numbered && number != v.number {
			return false
		}
		mine, theirs = mine.withoutVersion(), theirs.withoutVersion()
	}
	return hashOf("", nil, mine, a.ruleSet) == hashOf("", nil, theirs, b.ruleSet)
}

func exact(versions []*version, kind string, h hash) *version {
	for _, v := range versions {
		if v.schema.hash == h && v.schema.kind == kind {
			return v
		}
	}
	return nil
}

// reservedFields is the property of the metadata that lists names which no field at the top may have.
const reservedFields = "confluent:reserved"

func reservedNames(m *metadata) map[string]bool {
	list, _ := m.property(reservedFields)
	names := make(map[string]bool)
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names[name] = true
		}
	}
	return names
}

// checkFields refuses fields at the top with names that are kept for the registry.
func (c *candidate) checkFields() error {
	for _, name := range c.doc.fields() {
		if strings.HasPrefix(name, "$$") {
			return fmt.Errorf("the field name %q is reserved", name)
		}
	}
	return nil
}

// lookup returns the version of the subject that has the schema, and the name under which the subject was found: a
// subject without a context is looked for in all of them.
func (r *Registry) lookup(name string, q request, normalize, deleted bool) (string, *version, error) {
	name = shortest(name)
	if err := checkSubject(name); err != nil {
		return name, nil, err
	}
	r.store.mu.RLock()
	defer r.store.mu.RUnlock()
	st := r.store.state
	v, err := r.lookupIn(st, name, q, normalize, deleted)
	if err == nil || contextOf(name) != defaultContext {
		return name, v, err
	}
	for _, context := range st.contextNames()[1:] {
		other := joinSubject(context, name)
		if v, notFound := r.lookupIn(st, other, q, normalize, deleted); notFound == nil {
			return other, v, nil
		}
	}
	return name, nil, err
}

// lookupIn looks for the schema as it was sent, and then with what a registration would add to what is said about it.
func (r *Registry) lookupIn(st *state, name string, q request, normalize, deleted bool) (*version, error) {
	sub := st.subjects[name]
	versions, live := sub.live(deleted), sub.live(false)
	if strings.TrimSpace(q.Schema) != "" {
		config := st.configOf(name, r.opts.Level, r.opts.InheritLevel)
		c, err := st.parse(q, name, normalize || isSet(config.Normalize), false)
		if err != nil {
			return nil, err
		}
		v := st.match(c, versions)
		if full := q.filled(config, live); v == nil && len(live) > 0 && (full.Metadata != q.Metadata || full.RuleSet != q.RuleSet) {
			c.metadata, c.ruleSet = full.Metadata, full.RuleSet
			c.hash = hashOf(c.text, c.references, c.metadata, c.ruleSet)
			v = st.match(c, versions)
		}
		if v != nil {
			return v, nil
		}
	}
	if len(versions) == 0 {
		return nil, subjectNotFound(name)
	}
	return nil, schemaNotFound()
}
