package schemaregistry

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehub/sluice/schemaregistry/avro"
)

// request is the body of a registration, a lookup and a compatibility check.
type request struct {
	Schema     string      `json:"schema"`
	Type       string      `json:"schemaType"`
	References []reference `json:"references"`
	ID         *int        `json:"id"`
	Version    *int        `json:"version"`
}

// imports reports whether the schema brings an id along.
func (q request) imports() bool { return q.ID != nil && *q.ID >= 0 }

// candidate is a schema that was sent, parsed.
type candidate struct {
	text   string
	schema *avro.Schema
	hash   hash
}

// parse reads the schema of a request: strictly if it is to be registered, else as if it were registered already.
func (q request) parse(normalize, strict bool) (*candidate, error) {
	switch {
	case q.Schema == "":
		return nil, invalidSchema(errors.New("empty schema"))
	case q.Type != "" && q.Type != "AVRO":
		return nil, invalidSchema(fmt.Errorf("schemas of type %s are not supported, only AVRO", q.Type))
	case len(q.References) > 0:
		return nil, invalidSchema(errors.New("references are not supported: send the schema with the types that it uses inside"))
	}
	read := avro.ParseStored
	if strict {
		read = avro.Parse
	}
	s, err := read(q.Schema)
	if err != nil {
		return nil, invalidSchema(err)
	}
	if normalize {
		s = s.Normal()
	}
	text := s.String()
	return &candidate{text: text, schema: s, hash: hashOf(text, nil)}, nil
}

// match returns the version that has the schema: the very same text, or else the newest of the same meaning.
func (c *candidate) match(versions []*version) *version {
	for _, v := range versions {
		if v.schema.hash == c.hash {
			return v
		}
	}
	for i := len(versions) - 1; i >= 0; i-- {
		if s, err := versions[i].schema.avro(); err == nil && avro.Equal(s, c.schema) {
			return versions[i]
		}
	}
	return nil
}

// lookup returns the version of the subject that has the schema.
func (r *Registry) lookup(name string, q request, normalize, deleted bool) (*version, error) {
	if err := checkSubject(name); err != nil {
		return nil, err
	}
	r.store.mu.RLock()
	versions := r.store.state.subjects[name].live(deleted)
	normalize = normalize || r.store.state.normalize(name)
	r.store.mu.RUnlock()
	if len(versions) == 0 {
		return nil, subjectNotFound(name)
	}
	c, err := q.parse(normalize, false)
	if err != nil {
		return nil, err
	}
	if v := c.match(versions); v != nil {
		return v, nil
	}
	return nil, schemaNotFound()
}

// register returns the version that has the schema, adding it if there is none.
func (r *Registry) register(ctx context.Context, name string, q request, normalize bool) (*version, error) {
	if err := checkSubject(name); err != nil {
		return nil, err
	}
	r.store.mu.RLock()
	normalize = normalize || r.store.state.normalize(name)
	r.store.mu.RUnlock()
	c, err := q.parse(normalize, false)
	if err != nil {
		return nil, err
	}
	// Most registrations are of what is there already, and need no lock, no log and no waiting.
	if v := r.registered(name, q, c); v != nil {
		return v, nil
	}
	if !q.imports() { // what is imported was checked where it comes from
		if c, err = q.parse(normalize, true); err != nil {
			return nil, err
		}
	}
	p := &registration{r: r, subject: name, request: q, candidate: c}
	if err := r.change(ctx, "registering a schema under "+name, p.decide, p.settled); err != nil {
		return nil, err
	}
	return p.result, nil
}

// registered returns the live version that has the very text, if the mode allows to answer with it.
func (r *Registry) registered(name string, q request, c *candidate) *version {
	r.store.mu.RLock()
	defer r.store.mu.RUnlock()
	st := r.store.state
	if st.mode(name) != modeReadWrite || q.imports() || q.Version != nil {
		return nil
	}
	return exact(st.subjects[name].live(false), c.hash)
}

func exact(versions []*version, h hash) *version {
	for _, v := range versions {
		if v.schema.hash == h {
			return v
		}
	}
	return nil
}

// registration is one schema on its way into the topic.
type registration struct {
	r         *Registry
	subject   string
	request   request
	candidate *candidate

	number, id int
	result     *version
}

// decide returns the records that add the schema, or sets the result if it is there.
func (p *registration) decide(st *state) ([]*kgo.Record, error) {
	importing := st.mode(p.subject) == modeImport
	if err := p.permitted(st); err != nil {
		return nil, err
	}
	sub := st.subjects[p.subject]
	live := sub.live(false)
	p.number = 1
	if n := len(sub.all()); n > 0 {
		p.number = sub.versions[n-1].number + 1
	}
	if importing {
		return p.imported(st)
	}
	among := live
	if v := p.request.Version; v != nil && *v == -1 && len(live) > 0 {
		among = live[len(live)-1:] // an older version may come again as the newest
	}
	if p.result = p.candidate.match(among); p.result != nil {
		return nil, nil
	}
	if v := p.request.Version; v != nil && *v > 0 && *v != p.number {
		return nil, invalidSchema(fmt.Errorf("version is not one more than previous version: expected %d, got %d", p.number, *v))
	}
	if err := p.r.incompatible(st, p.subject, p.candidate.schema, live); err != nil {
		return nil, err
	}
	p.id = st.maxID + 1
	if known := st.byHash[p.candidate.hash]; known != nil {
		p.id = known.id
	}
	if p.id > math.MaxInt32 {
		return nil, storeError("giving an id", errors.New("there are no more"))
	}
	return append(p.records(), p.superseded(sub)...), nil
}

func (p *registration) permitted(st *state) error {
	switch mode := st.mode(p.subject); {
	case mode == modeReadOnly || mode == modeReadOnlyOverride:
		return notPermitted("Subject %s is in read-only mode", p.subject)
	case mode == modeImport && !p.request.imports():
		return notPermitted("Subject %s is in import mode, and the schema has no id", p.subject)
	case mode != modeImport && p.request.imports():
		return notPermitted("Subject %s is not in import mode", p.subject)
	}
	return nil
}

// imported decides on a schema that brings its id, and perhaps its version: nothing is checked but that it does not
// contradict what is there.
func (p *registration) imported(st *state) ([]*kgo.Record, error) {
	p.id = *p.request.ID
	if v := p.request.Version; v != nil && *v > 0 {
		p.number = *v
	}
	if known := st.byID[p.id]; known != nil && known.hash != p.candidate.hash {
		return nil, notPermitted("Overwrite new schema with id %d is not permitted.", p.id)
	}
	if there := st.subjects[p.subject].find(p.number); there != nil {
		if there.schema.id != p.id {
			return nil, notPermitted("Overwrite version %d of subject %s is not permitted.", p.number, p.subject)
		}
		if !there.deleted {
			p.result = there
			return nil, nil
		}
	}
	return p.records(), nil
}

func (p *registration) records() []*kgo.Record {
	return []*kgo.Record{{Key: keyOfSchema(p.subject, p.number), Value: marshal(schemaValue{
		Subject: p.subject, Version: p.number, ID: p.id, MD5: p.candidate.hash[:], Schema: p.candidate.text})}}
}

// superseded returns the records that remove soft-deleted versions of the same schema.
func (p *registration) superseded(sub *subject) []*kgo.Record {
	var records []*kgo.Record
	for _, v := range sub.all() {
		if v.deleted && v.schema.hash == p.candidate.hash {
			records = append(records, &kgo.Record{Key: v.key})
		}
	}
	return records
}

// settled looks whether the schema is where it was to be. If another node has put its own there at the same moment,
// our record is the newer one, which compaction would keep: it must be overwritten.
func (p *registration) settled(st *state) (mend []*kgo.Record, ok bool) {
	if p.result != nil {
		return nil, true
	}
	v := st.subjects[p.subject].find(p.number)
	switch {
	case v == nil: // the id went to another schema
		return []*kgo.Record{{Key: keyOfSchema(p.subject, p.number)}}, false
	case v.schema.hash != p.candidate.hash || v.schema.id != p.id:
		return []*kgo.Record{recordOf(p.subject, v, v.deleted)}, false
	}
	p.result = v
	return nil, true
}

// recordOf returns the record of a version that is there, soft-deleted or not.
func recordOf(name string, v *version, deleted bool) *kgo.Record {
	s := v.schema
	value := schemaValue{Subject: name, Version: v.number, ID: s.id, MD5: s.hash[:], References: s.references,
		Metadata: s.metadata, RuleSet: s.ruleSet, Schema: s.text, Deleted: deleted}
	if s.kind != "AVRO" {
		value.Type = s.kind
	}
	return &kgo.Record{Key: v.key, Value: marshal(value)}
}

// incompatible says why the schema may not follow the versions, which are ascending.
func (r *Registry) incompatible(st *state, name string, s *avro.Schema, versions []*version) error {
	level := st.level(name, r.opts.Level)
	messages := r.explain(level, s, versions)
	if len(messages) == 0 {
		return nil
	}
	return &Error{Status: 409, Code: r.opts.IncompatibleCode, Message: fmt.Sprintf(
		`Schema being registered is incompatible with an earlier schema for subject "%s", details: [%s]`, name, strings.Join(messages, ", "))}
}

// explain returns why the schema may not follow the versions, in Confluent's words, with the level at the end. What
// cannot be compared is not compatible.
func (r *Registry) explain(level avro.Level, s *avro.Schema, versions []*version) []string {
	if level == avro.None {
		return nil
	}
	if len(versions) > 1 && !strings.HasSuffix(string(level), "_TRANSITIVE") {
		versions = versions[len(versions)-1:]
	}
	for _, v := range slices.Backward(versions) {
		old, err := v.schema.avro()
		if err != nil {
			return withLevel([]string{"Incompatible because of different schema type"}, level)
		}
		if messages := level.Compatible(s, []avro.Version{{Number: v.number, Text: v.schema.text, Schema: old}}); len(messages) > 0 {
			return withLevel(messages, level)
		}
	}
	return nil
}

func withLevel(messages []string, level avro.Level) []string {
	return append(messages, fmt.Sprintf("{validateFields: 'false', compatibility: '%s'}", level))
}

func tooLarge(err error) bool {
	return errors.Is(err, kerr.MessageTooLarge) || errors.Is(err, kerr.RecordListTooLarge)
}
