package api

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/takovm/tako/internal/api/wire"
	"github.com/takovm/tako/internal/job"
)

// anyRecord is what answers with a record: slim, or full with view=full.
type anyRecord struct{}

func errorType() reflect.Type { return reflect.TypeFor[wire.Error]() }

// schemaOf is the schema of a wire type. Structs are drawn once, under their
// names.
func (d *drawing) schemaOf(t reflect.Type) object {
	switch t {
	case reflect.TypeFor[json.RawMessage]():
		return object{}
	case reflect.TypeFor[wire.Time](), reflect.TypeFor[wire.ZTime]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[job.Status]():
		return oneOf(job.Queued, job.Running, job.Succeeded, job.Failed, job.Timeout, job.OOM, job.Cancelled)
	case reflect.TypeFor[job.Phase]():
		return oneOf(job.PhaseStartup, job.PhaseExecution, job.PhaseCompleted)
	case reflect.TypeFor[job.Actor]():
		return oneOf(job.ActorUserCode, job.ActorTimeout, job.ActorMemory, job.ActorLimit, job.ActorCancel, job.ActorOperator, job.ActorEngine, job.ActorHost)
	case reflect.TypeFor[job.Supply]():
		return oneOf(job.SupplyCold, job.SupplyRestore, job.SupplyPool)
	case reflect.TypeFor[job.Relationship]():
		return oneOf(job.Rerun, job.Fork)
	case reflect.TypeFor[job.NetworkMode]():
		return oneOf(job.NetworkNone, job.NetworkAllow, job.NetworkPublic)
	case reflect.TypeFor[anyRecord]():
		return object{"oneOf": []any{d.schemaOf(reflect.TypeFor[wire.Record]()), d.schemaOf(reflect.TypeFor[wire.FullRecord]())}}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return orNull(d.schemaOf(t.Elem()))
	case reflect.Slice:
		return object{"type": "array", "items": d.schemaOf(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": d.schemaOf(t.Elem())}
	case reflect.Struct:
		return d.named(t)
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer"}
	case reflect.Float64:
		return object{"type": "number"}
	}
	return object{"type": "string"}
}

// oneOf is the schema of a closed set of words.
func oneOf[S ~string](words ...S) object {
	list := make([]any, len(words))
	for i, w := range words {
		list[i] = string(w)
	}
	return object{"type": "string", "enum": list}
}

func orNull(s object) object {
	if name, ok := s["type"].(string); ok {
		s["type"] = []any{name, "null"}
		if list, ok := s["enum"].([]any); ok {
			s["enum"] = append(list, nil)
		}
		return s
	}
	return object{"oneOf": []any{s, object{"type": "null"}}}
}

func (d *drawing) named(t reflect.Type) object {
	name := typeName(t)
	if _, ok := d.schemas[name]; !ok {
		d.schemas[name] = object{} // of those that hold themselves
		d.schemas[name] = d.fields(t)
	}
	return ref(name)
}

// typeName is Page[...wire.Record] without its brackets: PageRecord.
func typeName(t reflect.Type) string {
	name, parameter, generic := strings.Cut(t.Name(), "[")
	if !generic {
		return name
	}
	parameter = strings.TrimSuffix(parameter, "]")
	return name + parameter[strings.LastIndexByte(parameter, '.')+1:]
}

func (d *drawing) fields(t reflect.Type) object {
	properties, required := object{}, []any{}
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || name == "" || name == "-" {
			continue
		}
		s := d.schemaOf(f.Type)
		if doc := f.Tag.Get("doc"); doc != "" {
			s["description"] = doc
		}
		properties[name] = s
		if !strings.Contains(options, "omitempty") {
			required = append(required, name)
		}
	}
	return object{"type": "object", "properties": properties, "required": required}
}

func sortedNames(o object) []string { return slices.Sorted(maps.Keys(o)) }
