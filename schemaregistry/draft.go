package schemaregistry

// draft is a state as it will be when the records that were decided on in this turn have been read. Only registrations
// go by it; what they have in common is ids and the contexts that ids are in. One that looks at a subject which has
// got a new version in this turn waits for the next: its decision would rest on a record that may not come to count.
type draft struct {
	*state
	written map[string]bool // subjects
	spaces  map[string]*draftSpace
}

// draftSpace is what a context has got.
type draftSpace struct {
	byID  map[int]hash
	ids   map[identity]int
	maxID int
	made  bool // there is a record of it
}

// identity is what gives a schema its id in a context.
type identity struct {
	hash
	kind string
}

func newDraft(s *state) *draft {
	return &draft{state: s, written: make(map[string]bool), spaces: make(map[string]*draftSpace)}
}

func (d *draft) space(name string) *draftSpace {
	s := d.spaces[name]
	if s == nil {
		s = &draftSpace{byID: make(map[int]hash), ids: make(map[identity]int), maxID: d.maxIDs[name], made: d.in(name).key != nil}
		d.spaces[name] = s
	}
	return s
}

// free reports whether no decision of this turn is about the subject, nor about those that the references name.
func (d *draft) free(subject string, references []reference) bool {
	if len(d.written) == 0 {
		return true
	}
	for _, r := range references {
		if d.written[shortest(inContext(contextOf(subject), r.Subject))] {
			return false
		}
	}
	return !d.written[subject]
}

// id returns the id that the schema has in the context, or will have.
func (d *draft) id(context string, s *schema) int {
	if known := d.in(context).byHash[s.hash]; known != nil && known.kind == s.kind {
		return known.id
	}
	in := d.space(context)
	if id := in.ids[identity{s.hash, s.kind}]; id != 0 {
		return id
	}
	return in.maxID + 1
}

// holder returns what has an id already.
func (d *draft) holder(context string, id int) (hash, bool) {
	if known := d.in(context).byID[id]; known != nil {
		return known.hash, true
	}
	h, ok := d.space(context).byID[id]
	return h, ok
}

// add takes note of a new version of the subject.
func (d *draft) add(subject string, s *schema) {
	d.written[subject] = true
	in := d.space(contextOf(subject))
	in.byID[s.id], in.ids[identity{s.hash, s.kind}] = s.hash, s.id
	in.maxID, in.made = max(in.maxID, s.id), true
}
