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
)

// register returns the version that has the schema, adding it if there is none.
func (r *Registry) register(ctx context.Context, name string, q request, how registering) (*version, error) {
	name = shortest(name)
	if err := checkSubject(name); err != nil {
		return nil, err
	}
	p := &registration{r: r, subject: name, request: q, registering: how}
	// Most registrations are of what is there already, and need no log and no waiting. Where nothing is, decide looks.
	var v *version
	r.store.mu.RLock()
	if st := r.store.state; len(st.subjects[name].live(false)) > 0 {
		v, _ = p.registered(st) // decide meets an error, too
	}
	r.store.mu.RUnlock()
	if v != nil {
		return v, nil
	}
	err := r.make(ctx, "registering a schema under "+name, &change{decide: p.decide, settled: p.settled, shared: true})
	if err != nil {
		return nil, err
	}
	return p.result, nil
}

// registering is how a schema is registered.
type registering struct {
	normalize bool
	force     bool // whether or not it is compatible
}

// registration is one schema on its way into the topic.
type registration struct {
	r       *Registry
	subject string
	request request
	registering

	candidate  *candidate
	messages   []string // why it is not compatible
	number, id int
	result     *version
}

func (p *registration) config(st *state) configValue {
	return st.configOf(p.subject, p.r.opts.Level, p.r.opts.InheritLevel)
}

// registered returns the live version that has the schema as it was sent, nil if there is none or something else is
// wanted than the schema: another id, another version, metadata of the configuration. No mode forbids that.
func (p *registration) registered(st *state) (*version, error) {
	q, config := p.request, p.config(st)
	if strings.TrimSpace(q.Schema) == "" || config.DefaultMetadata != nil || config.OverrideMetadata != nil ||
		config.DefaultRuleSet != nil || config.OverrideRuleSet != nil {
		return nil, nil
	}
	live := st.subjects[p.subject].live(false)
	if q.version() == latest && len(live) > 0 {
		live = live[len(live)-1:] // an older version may come again as the newest
	}
	// Clients mostly send the text that is kept, which needs no parsing.
	asSent := hashOf(q.Schema, st.pinned(q.References, contextOf(p.subject)), q.Metadata, q.RuleSet)
	v := exact(live, kindOf(q.Type), asSent)
	if v == nil {
		c, err := st.parse(q, p.subject, p.normalize || isSet(config.Normalize), false)
		if err != nil {
			return nil, err
		}
		v = st.match(c, live)
	}
	return q.asked(v, live), nil
}

// asked returns the version that was found if it is what the request is for, or another one of the same schema that is.
// Who names a number, but no id, wants a new version.
func (q request) asked(v *version, live []*version) *version {
	switch number := q.version(); {
	case v == nil || q.imports() && *q.ID != v.schema.id:
		return nil
	case number == 0 || number == latest:
		return v
	case q.imports():
		if i := slices.IndexFunc(live, func(o *version) bool { return o.number == number && o.schema == v.schema }); i >= 0 {
			return live[i]
		}
	}
	return nil
}

// decide returns the records that add the schema, or sets the result if it is there.
func (p *registration) decide(st *draft) (records []*kgo.Record, err error) {
	if !st.free(p.subject, p.request.References) {
		return nil, errLater
	}
	if p.result, err = p.registered(st.state); err != nil || p.result != nil {
		return nil, err
	}
	mode := st.mode(p.subject)
	if err := p.permitted(mode); err != nil {
		return nil, err
	}
	sub := st.subjects[p.subject]
	p.number = 1
	if all := sub.all(); len(all) > 0 {
		p.number = all[len(all)-1].number + 1
	}
	if mode == modeImport || mode == modeForward {
		return p.imported(st)
	}
	config, live := p.config(st.state), sub.live(false)
	q, err := p.filled(config, live)
	if err != nil {
		return nil, err
	}
	strict := config.ValidateNew == nil || *config.ValidateNew
	if p.candidate, err = st.parse(q, p.subject, p.normalize || isSet(config.Normalize), strict); err != nil {
		return nil, err
	}
	if q.version() == 0 {
		if p.result = st.match(p.candidate, live); p.result != nil {
			return nil, nil
		}
	}
	if err := p.acceptable(st.state, config, live); err != nil {
		return nil, err
	}
	if v := q.version(); v > 0 && v != p.number {
		return nil, invalidSchema(fmt.Errorf("version is not one more than previous version: expected %d, got %d", p.number, v))
	}
	return p.added(st)
}

func (p *registration) permitted(mode string) error {
	switch {
	case isReadOnly(mode):
		return readOnly(p.subject)
	case mode != modeReadWrite && !p.request.imports():
		return notPermitted("Subject %s is not in read-write mode", p.subject)
	case mode == modeReadWrite && p.request.imports():
		return notPermitted("Subject %s is not in import mode", p.subject)
	}
	return nil
}

// filled returns the request with what the configuration and the version before it add: metadata and rules, the number
// of the version if one was asked for now or before, and the schema if it is only about those.
func (p *registration) filled(config configValue, live []*version) (request, error) {
	q := p.request
	if n := len(live); n > 0 && q.Schema == "" && (q.Metadata != nil || q.RuleSet != nil) {
		before := live[n-1].schema
		q.Schema, q.Type, q.References = before.text, before.kind, before.references
	}
	q = q.filled(config, live)
	if _, numbered := q.Metadata.property(versionProperty); numbered || q.version() != 0 {
		q.Metadata = q.Metadata.withVersion(p.number)
	}
	if config.ValidateRules == nil || *config.ValidateRules {
		if err := q.RuleSet.check(); err != nil {
			return q, invalidRules(err)
		}
	}
	return q, nil
}

// acceptable says why the schema may not follow what is there.
func (p *registration) acceptable(st *state, config configValue, live []*version) error {
	if isSet(config.ValidateFields) {
		if err := p.candidate.checkFields(); err != nil {
			return invalidSchema(err)
		}
	}
	if p.force {
		return nil
	}
	p.messages = st.verdict(config, p.candidate, live)
	if len(p.messages) == 0 {
		return nil
	}
	return &Error{Status: 409, Code: p.r.opts.IncompatibleCode, Message: fmt.Sprintf(
		`Schema being registered is incompatible with an earlier schema for subject "%s", details: [%s]`, p.subject, strings.Join(p.messages, ", "))}
}

// added returns the records that add the schema under the id that it has in its context, or the next. If they remove
// others, which only a schema that was deleted before comes to, they have a turn for themselves.
func (p *registration) added(d *draft) ([]*kgo.Record, error) {
	p.id = d.id(contextOf(p.subject), &p.candidate.schema)
	if p.id > math.MaxInt32 {
		return nil, storeError("giving an id", errors.New("there are no more"))
	}
	superseded := p.superseded(d.state)
	if len(superseded) > 0 && len(d.written) > 0 {
		return nil, errLater
	}
	return append(p.records(d), superseded...), nil
}

// imported decides on a schema that brings its id, and perhaps its version: nothing is checked but that it does not
// contradict what is there. What is imported was checked where it comes from.
func (p *registration) imported(st *draft) (records []*kgo.Record, err error) {
	if p.candidate, err = st.parse(p.request, p.subject, false, false); err != nil {
		return nil, err
	}
	if !p.request.imports() {
		return p.added(st)
	}
	p.id = *p.request.ID
	if v := p.request.version(); v > 0 {
		p.number = v
	}
	if holder, taken := st.holder(contextOf(p.subject), p.id); taken && holder != p.candidate.hash {
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
	return p.records(st), nil
}

func (p *registration) records(st *draft) []*kgo.Record {
	added := p.candidate.schema
	added.id = p.id
	v := &version{number: p.number, schema: &added}
	if there := st.subjects[p.subject].find(p.number); there != nil {
		v.oldKey = there.oldKey
	}
	record := recordOf(p.subject, v, false)
	name := contextOf(p.subject)
	made := st.space(name).made
	st.add(p.subject, &added)
	if name != defaultContext && !made {
		return []*kgo.Record{{Key: keyOfContext(name), Value: marshal(contextValue{"default", name})}, record}
	}
	return []*kgo.Record{record}
}

// superseded returns the records that remove soft-deleted versions of the same schema, unless they are referred to.
func (p *registration) superseded(st *state) []*kgo.Record {
	var old []*version
	for _, v := range st.subjects[p.subject].all() {
		if v.deleted && v.schema.hash == p.candidate.hash {
			old = append(old, v)
		}
	}
	if len(old) == 0 {
		return nil
	}
	needed := make(map[int]bool)
	st.referrers(p.subject, true, func(_ string, _ *version, to int) { needed[to] = true })
	var records []*kgo.Record
	for _, v := range old {
		if !needed[v.number] {
			records = append(records, &kgo.Record{Key: v.key(p.subject)})
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

// recordOf returns the record of a version, soft-deleted or not.
func recordOf(name string, v *version, deleted bool) *kgo.Record {
	s := v.schema
	value := schemaValue{Subject: name, Version: v.number, ID: s.id, MD5: s.hash[:], References: s.references,
		Metadata: s.metadata, RuleSet: s.ruleSet, Schema: s.text, Deleted: deleted}
	if s.kind != kindAvro {
		value.Type = s.kind
	}
	return &kgo.Record{Key: v.key(name), Value: marshal(value)}
}

// group returns the versions that the schema is to be compared with: those with the same value of the metadata
// property that groups them, if there is one.
func (c configValue) group(next *candidate, versions []*version) []*version {
	if c.Group == "" {
		return versions
	}
	value, has := next.metadata.property(c.Group)
	return slices.DeleteFunc(slices.Clone(versions), func(v *version) bool {
		other, hasToo := v.schema.metadata.property(c.Group)
		return has != hasToo || value != other
	})
}

func (c configValue) policy() policy {
	return policy{Level(c.Level), c.Policy == policyLenient, isSet(c.ValidateFields)}
}

func tooLarge(err error) bool {
	return errors.Is(err, kerr.MessageTooLarge) || errors.Is(err, kerr.RecordListTooLarge)
}
