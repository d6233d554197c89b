package protobuf

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/ast"
	"github.com/bufbuild/protocompile/parser"
	"github.com/bufbuild/protocompile/reporter"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// ErrSchema says that a text is not a Protobuf schema.
var ErrSchema = errors.New("not a valid Protobuf schema")

// Limits of a text: its size in bytes, and how deep its braces are nested.
const (
	maxText    = 5 << 20
	maxNesting = 100
)

// mainFile is what the file of a schema is called while it is linked. Nothing imports it.
const mainFile = "sluice/schema.proto"

// Schema is one .proto file, linked. It must not be changed, and may be used by several goroutines at once.
type Schema struct {
	syntax string                            // as it was declared; "": not at all
	file   *descriptorpb.FileDescriptorProto // as it was read: names not resolved, options not interpreted
	order  map[proto.Message]int             // where its types are in the text; nil while there is no text
	linked protoreflect.FileDescriptor
}

// Reference is a file that others may import by its name.
type Reference struct {
	Name string
	Text string // as String returns it
}

// Parse reads the text of a .proto file, or a serialized FileDescriptorProto in base64. What it imports must be among
// the references. Errors wrap ErrSchema.
func Parse(text string, references []Reference) (*Schema, error) {
	s, err := parse(text, references)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSchema, err)
	}
	return s, nil
}

func parse(text string, references []Reference) (*Schema, error) {
	if err := checkLimits(text); err != nil {
		return nil, err
	}
	s, err := read(text)
	if err != nil {
		return nil, err
	}
	if s.linked, err = s.link(references, false); err != nil {
		// Options that nobody defines are nobody's business but their readers': Wire does not look for them.
		var again error
		if s.linked, again = s.link(references, true); again != nil {
			return nil, err
		}
	}
	if s.order == nil {
		// It was no text so far: it counts as the one it is kept as, if it can be written as one.
		return parse(s.String(), references)
	}
	return s, nil
}

// link resolves the names of the file and of what it imports; plain, without custom options.
func (s *Schema) link(references []Reference, plain bool) (protoreflect.FileDescriptor, error) {
	source := func(name, text string) (protocompile.SearchResult, error) {
		if !plain {
			return protocompile.SearchResult{Source: strings.NewReader(text)}, nil
		}
		other, err := read(text)
		if err != nil {
			return protocompile.SearchResult{}, err
		}
		return protocompile.SearchResult{Proto: withoutCustomOptions(other.file, name)}, nil
	}
	compiler := protocompile.Compiler{MaxParallelism: 1, Resolver: protocompile.WithStandardImports(protocompile.ResolverFunc(
		func(name string) (protocompile.SearchResult, error) {
			if name == mainFile && plain {
				return protocompile.SearchResult{Proto: withoutCustomOptions(s.file, name)}, nil
			} else if name == mainFile {
				return protocompile.SearchResult{Proto: proto.Clone(s.file).(*descriptorpb.FileDescriptorProto)}, nil
			}
			for _, r := range references {
				if r.Name == name {
					return source(name, r.Text)
				}
			}
			if text, ok := known(name); ok {
				return protocompile.SearchResult{Source: strings.NewReader(text)}, nil
			}
			return protocompile.SearchResult{}, fmt.Errorf("%q is none of the schema's references", name)
		}))}
	files, err := compiler.Compile(context.Background(), mainFile)
	if err != nil {
		return nil, err
	}
	return files[0], nil
}

func checkLimits(text string) error {
	if len(text) > maxText {
		return fmt.Errorf("the text has %d bytes, the limit is %d", len(text), maxText)
	}
	depth := 0
	for i := range len(text) {
		switch text[i] {
		case '{':
			if depth++; depth > maxNesting {
				return fmt.Errorf("nested deeper than %d", maxNesting)
			}
		case '}':
			depth--
		}
	}
	return nil
}

// read reads a file without what it imports.
func read(text string) (*Schema, error) {
	if file, ok := serialized(text); ok {
		return &Schema{syntax: file.GetSyntax(), file: file}, nil
	}
	handler := reporter.NewHandler(nil)
	tree, err := parseFile(text, handler)
	if err != nil {
		return nil, err
	}
	result, err := parser.ResultFromAST(tree, true, handler)
	if err != nil {
		return nil, err
	}
	s := &Schema{file: result.FileDescriptorProto(), order: make(map[proto.Message]int)}
	s.locate(result, s.file.MessageType, s.file.EnumType)
	if tree.Syntax != nil {
		s.syntax = tree.Syntax.Syntax.AsString()
	}
	s.file.SourceCodeInfo = nil
	return s, nil
}

// parseFile is parser.Parse, which panics where a string that is not UTF-8 has a bad escape: it counts characters back in
// bytes (protocompile v0.14.1).
func parseFile(text string, handler *reporter.Handler) (tree *ast.FileNode, err error) {
	defer func() {
		if p := recover(); p != nil {
			tree, err = nil, fmt.Errorf("the text cannot be read: %v", p)
		}
	}()
	return parser.Parse(mainFile, strings.NewReader(text), handler)
}

// locate notes where types are in the text.
func (s *Schema) locate(in parser.Result, messages []*descriptorpb.DescriptorProto, enums []*descriptorpb.EnumDescriptorProto) {
	for _, m := range messages {
		s.order[m] = int(in.MessageNode(m).Start())
		s.locate(in, m.NestedType, m.EnumType)
	}
	for _, e := range enums {
		s.order[e] = int(in.EnumNode(e).Start())
	}
}

// serialized reads a FileDescriptorProto in base64.
func serialized(text string) (*descriptorpb.FileDescriptorProto, bool) {
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(b) == 0 {
		return nil, false
	}
	file := &descriptorpb.FileDescriptorProto{}
	if proto.Unmarshal(b, file) != nil || len(file.ProtoReflect().GetUnknown()) > 0 {
		return nil, false
	}
	file.Name = proto.String(mainFile)
	file.SourceCodeInfo = nil
	nameInJSON(file.MessageType)
	return file, true
}

// nameInJSON gives the fields of descriptors that compilers did not finish the names that they have in JSON.
func nameInJSON(messages []*descriptorpb.DescriptorProto) {
	for _, m := range messages {
		for _, f := range m.Field {
			if f.GetJsonName() == "" {
				f.JsonName = proto.String(jsonName(f.GetName()))
			}
		}
		nameInJSON(m.NestedType)
	}
}

// Equal reports whether a and b are one schema to a registry: comments and spelling do not count.
func Equal(a, b *Schema) bool { return a.String() == b.String() }

// Serialized returns the linked FileDescriptorProto in base64, under the name that Confluent's registry gives it.
func (s *Schema) Serialized() (string, error) {
	file := protodesc.ToFileDescriptorProto(s.linked)
	file.Name = proto.String("default")
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(file)
	if err != nil {
		return "", fmt.Errorf("serialize the descriptor: %w", err)
	}
	return base64.StdEncoding.EncodeToString(b), nil
}

// Fields returns the names of the fields of the first message.
func (s *Schema) Fields() []string {
	var names []string
	if messages := s.linked.Messages(); messages.Len() > 0 {
		fields := messages.Get(0).Fields()
		for i := range fields.Len() {
			names = append(names, string(fields.Get(i).Name()))
		}
	}
	return names
}
