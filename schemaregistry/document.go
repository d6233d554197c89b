package schemaregistry

import (
	"fmt"
)

// maxDocuments is how many parsed schemas are kept: as many as compatibility checks of a busy registry come back to.
// A parsed schema takes some ten times the memory of its text.
const maxDocuments = 4096

// documents keeps parsed schemas. Texts are parsed when they are needed first: a start over a long history is not the
// time for it. What clients send is kept, too: they register and check the same few texts again and again. So are the
// answers to what they ask for most.
type documents struct {
	parsed  kept[*schema, document]
	sent    kept[sentText, parsedText]
	answers kept[answered, text]
}

// sentText is a text as a client sent it, and how it was to be read.
type sentText struct {
	kind, text        string
	normalize, strict bool
}

// parsedText is what it says.
type parsedText struct {
	doc  document
	text string // of doc
}

// answered is a schema by whose id was asked, and whether it is described with all members.
type answered struct {
	of   *schema
	full bool
}

// maxSent and maxAnswers are how many bytes are kept of texts that were sent, and of answers.
const (
	maxSent    = 2 << 20
	maxAnswers = 4 << 20
)

func newDocuments() *documents {
	d := &documents{}
	d.parsed.most, d.sent.most, d.answers.most = maxDocuments, maxSent, maxAnswers
	return d
}

// maxReferences is how deep references may go: records of others could make them a circle. maxImports is how many
// schemas one may refer to in all: without it, references that share theirs could double with each step.
const (
	maxReferences = 32
	maxImports    = 1000
)

// document returns the parsed schema.
func (s *state) document(of *schema) (document, error) { return s.documentWithin(of, maxReferences) }

func (s *state) documentWithin(of *schema, depth int) (document, error) {
	if doc, ok := s.documents.parsed.get(of); ok {
		return doc, nil
	}
	if depth == 0 {
		return nil, fmt.Errorf("references go deeper than %d", maxReferences)
	}
	read := s.languages[of.kind]
	if read == nil {
		return nil, fmt.Errorf("schemas of type %s are not known here", of.kind)
	}
	imports, err := s.importsOf(of.references, of.context, true, depth)
	if err != nil {
		return nil, err
	}
	doc, err := read(of.text, imports, true)
	if err != nil {
		return nil, err
	}
	s.documents.parsed.put(of, doc, 1)
	return doc, nil
}

// importsOf returns the schemas that references name, and those that these refer to, which come first. Of two of one
// name the first counts. Soft-deleted ones will do for schemas that are stored.
func (s *state) importsOf(refs []reference, in string, stored bool, depth int) ([]imported, error) {
	c := collection{state: s, stored: stored, seen: make(map[string]bool)}
	err := c.add(refs, in, depth)
	return c.list, err
}

type collection struct {
	*state
	stored bool
	seen   map[string]bool
	list   []imported
}

func (c *collection) add(refs []reference, in string, depth int) error {
	if depth == 0 {
		return fmt.Errorf("references go deeper than %d", maxReferences)
	}
	for _, r := range refs {
		if c.seen[r.Name] {
			continue
		}
		c.seen[r.Name] = true
		if len(c.seen) > maxImports {
			return fmt.Errorf("more than %d schemas are referred to", maxImports)
		}
		v, err := c.find(inContext(in, r.Subject), r.Version, c.stored)
		if err != nil {
			return fmt.Errorf("no schema reference found for subject %q and version %d", r.Subject, r.Version)
		}
		if err := c.add(v.schema.references, v.schema.context, depth-1); err != nil {
			return fmt.Errorf("reference to version %d of %q: %w", r.Version, r.Subject, err)
		}
		doc, err := c.documentWithin(v.schema, depth-1)
		if err != nil {
			return fmt.Errorf("reference to version %d of %q: %w", r.Version, r.Subject, err)
		}
		c.list = append(c.list, imported{r.Name, v.schema.text, doc})
	}
	return nil
}

// pinned returns references to the newest version as references to the version that this is now.
func (s *state) pinned(refs []reference, in string) []reference {
	if len(refs) == 0 {
		return nil
	}
	pinned := append([]reference(nil), refs...)
	for i, r := range refs {
		if v, err := s.find(inContext(in, r.Subject), r.Version, false); err == nil && r.Version == latest {
			pinned[i].Version = v.number
		}
	}
	return pinned
}
