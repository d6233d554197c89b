package integration

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A package has no state: what main does not pass in, it does not have. So
// there is no init function, and a package variable is a constant that the
// language cannot declare as one: an error, a compiled pattern, an embedded
// file, a table. It has its value from its declaration on, is of a kind that
// needs no change to be of use, and nothing in the package changes it.

func TestArchitectureState(t *testing.T) {
	t.Parallel()
	for _, p := range sourcePackages(t) {
		sources := map[string]any{} // parsed from the file itself
		for _, file := range p.GoFiles {
			sources[filepath.Join(p.Dir, file)] = nil
		}
		problems, err := packageState(sources)
		if err != nil {
			t.Error(err)
		}
		for _, problem := range problems {
			t.Error(problem)
		}
	}
}

// packageState parses one package, from text or, where that is nil, from the
// file of the name, and returns a line for each init function and changing
// variable. Generated files are not looked at.
func packageState(sources map[string]any) ([]string, error) {
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		f, err := parser.ParseFile(fset, name, sources[name], parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		if !ast.IsGenerated(f) {
			files = append(files, f)
		}
	}
	// The names within the package are all that has to be resolved, so imports
	// are left unresolved and the errors that follow from that do not matter.
	info := &types.Info{Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{}}
	check := types.Config{Error: func(error) {}, Importer: noImports{}}
	_, _ = check.Check("checked", fset, files, info)

	s := &stateCheck{fset: fset, info: info, variables: map[types.Object]bool{}}
	for _, f := range files {
		for _, d := range f.Decls {
			s.declaration(d)
		}
	}
	for _, f := range files {
		ast.Inspect(f, s.change)
	}
	return s.problems, nil
}

type noImports struct{}

func (noImports) Import(path string) (*types.Package, error) {
	return nil, errors.New("not resolved")
}

type stateCheck struct {
	fset      *token.FileSet
	info      *types.Info
	variables map[types.Object]bool
	problems  []string
}

func (s *stateCheck) problem(at token.Pos, format string, args ...any) {
	s.problems = append(s.problems, fmt.Sprintf("%s: %s", s.fset.Position(at), fmt.Sprintf(format, args...)))
}

func (s *stateCheck) declaration(d ast.Decl) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil && d.Name.Name == "init" {
			s.problem(d.Pos(), "an init function: do it where main can be read")
		}
	case *ast.GenDecl:
		if d.Tok != token.VAR {
			return
		}
		for _, spec := range d.Specs {
			s.variable(d, spec.(*ast.ValueSpec))
		}
	}
}

func (s *stateCheck) variable(d *ast.GenDecl, v *ast.ValueSpec) {
	for _, name := range v.Names {
		if name.Name == "_" {
			continue // a check of the compiler, as var _ Interface = T{}
		}
		if object := s.info.Defs[name]; object != nil {
			s.variables[object] = true
		}
		if len(v.Values) == 0 && !embeds(d.Doc) && !embeds(v.Doc) {
			s.problem(name.Pos(), "package variable %s has no value: it can only be of use by changing", name.Name)
		}
	}
	if why := mutableType(v.Type); why != "" {
		s.problem(v.Pos(), "package variable of type %s, which is there to change", why)
	}
	for _, value := range v.Values {
		if why := mutableValue(value); why != "" {
			s.problem(value.Pos(), "package variable made by %s, which is there to change", why)
		}
	}
}

func embeds(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") })
}

// mutableType names the type if it is one of the packages sync and atomic, or
// a channel.
func mutableType(t ast.Expr) string {
	switch t := t.(type) {
	case *ast.StarExpr:
		return mutableType(t.X)
	case *ast.ArrayType:
		return mutableType(t.Elt)
	case *ast.ChanType:
		return "chan"
	case *ast.IndexExpr:
		return mutableType(t.X)
	case *ast.SelectorExpr:
		pkg, ok := t.X.(*ast.Ident)
		if ok && pkg.Name == "sync" && strings.HasPrefix(t.Sel.Name, "OnceValue") {
			return "" // a constant that is computed when it is first needed
		}
		if ok && (pkg.Name == "sync" || pkg.Name == "atomic") {
			return pkg.Name + "." + t.Sel.Name
		}
	}
	return ""
}

func mutableValue(value ast.Expr) string {
	switch value := value.(type) {
	case *ast.UnaryExpr:
		return mutableValue(value.X)
	case *ast.CompositeLit:
		return mutableType(value.Type)
	case *ast.CallExpr:
		if name, ok := value.Fun.(*ast.Ident); ok && (name.Name == "make" || name.Name == "new") {
			return name.Name
		}
		return mutableType(value.Fun)
	}
	return ""
}

// change looks for whatever changes a package variable.
func (s *stateCheck) change(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.AssignStmt:
		for _, left := range n.Lhs {
			s.changed(left, "assigned")
		}
	case *ast.IncDecStmt:
		s.changed(n.X, "counted")
	case *ast.RangeStmt:
		if n.Tok == token.ASSIGN {
			s.changed(n.Key, "assigned")
			s.changed(n.Value, "assigned")
		}
	case *ast.CallExpr:
		name, ok := n.Fun.(*ast.Ident)
		if ok && len(n.Args) > 0 && slices.Contains([]string{"delete", "clear", "copy"}, name.Name) {
			s.changed(n.Args[0], name.Name+"d")
		}
	}
	return true
}

// changed reports the package variable that expression is a part of.
func (s *stateCheck) changed(expression ast.Expr, how string) {
	switch x := expression.(type) {
	case *ast.Ident:
		if s.variables[s.info.Uses[x]] {
			s.problem(x.Pos(), "package variable %s is %s", x.Name, how)
		}
	case *ast.IndexExpr:
		s.changed(x.X, how)
	case *ast.SelectorExpr:
		s.changed(x.X, how)
	case *ast.StarExpr:
		s.changed(x.X, how)
	case *ast.ParenExpr:
		s.changed(x.X, how)
	case *ast.SliceExpr:
		s.changed(x.X, how)
	}
}

func TestArchitectureStateRules(t *testing.T) {
	t.Parallel()
	const constants = `package p
import ("embed"; "errors"; "io"; "regexp"; "sync")
var ErrGone = errors.New("gone")
var pattern = regexp.MustCompile("x")
var _ io.Reader = reader{}
var names = map[int]string{1: "one"}
//go:embed *
var files embed.FS
var (
	table = buildTable()
	flags = [...]string{"a"}
	late  = sync.OnceValue(buildTable)
)
func buildTable() []int { names := []int{1}; names[0] = 2; return names }
`
	problems, err := packageState(map[string]any{"good.go": constants})
	if err != nil || len(problems) > 0 {
		t.Errorf("constants are refused: %q, error %v", problems, err)
	}
	for name, text := range map[string]string{
		"init":              `func init() {}`,
		"no value":          `var count int`,
		"assigned":          `var count = 1; func f() { count = 2 }`,
		"counted":           `var count = 1; func f() { count++ }`,
		"element":           `var table = []int{1}; func f() { table[0] = 2 }`,
		"field":             `var config = struct{ a int }{}; func f() { config.a = 2 }`,
		"deleted":           `var table = map[int]int{}; func f() { delete(table, 1) }`,
		"appended":          `var table = []int{}; func f() { table = append(table, 1) }`,
		"mutex":             `var mu = sync.Mutex{}`,
		"pool":              `var pool = &sync.Pool{}`,
		"atomic":            `var n = atomic.Int64{}`,
		"generic atomic":    `var n = &atomic.Pointer[int]{}`,
		"channel":           `var c = make(chan int)`,
		"registry":          `var plugins = make(map[string]int)`,
		"typed, with value": `var once sync.Once = sync.Once{}`,
	} {
		problems, err := packageState(map[string]any{"bad.go": "package p\n" + text})
		if err != nil || len(problems) == 0 {
			t.Errorf("%s: allowed, error %v", name, err)
		}
	}
}
