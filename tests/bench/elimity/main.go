// Elimity's SCIM library as a contender: its own http.Handler on net/http, people in memory, found by id, userName,
// externalId and work e-mail through a map each. Other filters walk all of them with the library's own matcher.
package main

import (
	"crypto/rand"
	"log"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/elimity-com/scim"
	"github.com/elimity-com/scim/errors"
	matcher "github.com/elimity-com/scim/filter"
	"github.com/elimity-com/scim/schema"
	"github.com/scim2/filter-parser/v2"
)

var user, enterprise = schema.CoreUserSchema(), schema.ExtensionEnterpriseUser()

// directory holds people. What it has handed out is never changed, because the library reads it without the lock:
// a change puts a new person into the place of the former one.
type directory struct {
	sync.RWMutex
	ids                              []string
	byID, byName, byExternal, byMail map[string]scim.Resource
}

func (d *directory) Create(_ *http.Request, attributes scim.ResourceAttributes) (scim.Resource, error) {
	now := time.Now()
	person := scim.Resource{ID: rand.Text(), Attributes: attributes, Meta: scim.Meta{Created: &now, LastModified: &now}}
	d.Lock()
	defer d.Unlock()
	if _, taken := d.byName[name(person)]; taken {
		return scim.Resource{}, errors.ScimErrorUniqueness
	}
	d.ids = append(d.ids, person.ID)
	d.put(person)
	return person, nil
}

func (d *directory) Get(_ *http.Request, id string) (scim.Resource, error) {
	d.RLock()
	defer d.RUnlock()
	return d.get(id)
}

func (d *directory) GetAll(_ *http.Request, wanted scim.ListRequestParams) (scim.Page, error) {
	d.RLock()
	defer d.RUnlock()
	if wanted.FilterValidator != nil {
		found := d.found(*wanted.FilterValidator)
		return scim.Page{TotalResults: len(found), Resources: part(found, wanted)}, nil
	}
	page := []scim.Resource{}
	for _, id := range part(d.ids, wanted) {
		page = append(page, d.byID[id])
	}
	return scim.Page{TotalResults: len(d.ids), Resources: page}, nil
}

func (d *directory) Replace(_ *http.Request, id string, attributes scim.ResourceAttributes) (scim.Resource, error) {
	d.Lock()
	defer d.Unlock()
	return d.change(id, func(scim.ResourceAttributes) (scim.ResourceAttributes, error) { return attributes, nil })
}

func (d *directory) Patch(_ *http.Request, id string, operations []scim.PatchOperation) (scim.Resource, error) {
	d.Lock()
	defer d.Unlock()
	return d.change(id, func(before scim.ResourceAttributes) (scim.ResourceAttributes, error) {
		after := maps.Clone(before)
		for _, operation := range operations {
			if err := apply(after, operation); err != nil {
				return nil, err
			}
		}
		return after, nil
	})
}

func (d *directory) Delete(_ *http.Request, id string) error {
	d.Lock()
	defer d.Unlock()
	person, err := d.get(id)
	if err == nil {
		d.remove(person)
		d.ids = slices.DeleteFunc(d.ids, func(one string) bool { return one == id })
	}
	return err
}

func (d *directory) get(id string) (scim.Resource, error) {
	person, ok := d.byID[id]
	if !ok {
		return scim.Resource{}, errors.ScimErrorResourceNotFound(id)
	}
	return person, nil
}

func (d *directory) change(
	id string, changed func(scim.ResourceAttributes) (scim.ResourceAttributes, error),
) (scim.Resource, error) {
	before, err := d.get(id)
	if err != nil {
		return scim.Resource{}, err
	}
	attributes, err := changed(before.Attributes)
	if err != nil {
		return scim.Resource{}, err
	}
	now, after := time.Now(), before
	after.Attributes, after.Meta.LastModified = attributes, &now
	if _, taken := d.byName[name(after)]; taken && name(after) != name(before) {
		return scim.Resource{}, errors.ScimErrorUniqueness
	}
	d.remove(before)
	d.put(after)
	return after, nil
}

func (d *directory) put(person scim.Resource) {
	d.byID[person.ID], d.byName[name(person)] = person, person
	if external, ok := person.Attributes["externalId"].(string); ok {
		d.byExternal[external] = person
	}
	if mail := workMail(person); mail != "" {
		d.byMail[mail] = person
	}
}

func (d *directory) remove(person scim.Resource) {
	delete(d.byID, person.ID)
	delete(d.byName, name(person))
	delete(d.byMail, workMail(person))
	if external, ok := person.Attributes["externalId"].(string); ok {
		delete(d.byExternal, external)
	}
}

// found uses an index where there is one. The library has parsed the filter already; it takes no sub-attribute behind
// a value path, so that a work e-mail is `emails[type eq "work" and value eq "..."]` here, and Entra's way is refused.
func (d *directory) found(wanted matcher.Validator) []scim.Resource {
	var person scim.Resource
	var ok bool
	switch expression := wanted.GetFilter().(type) {
	case *filter.AttributeExpression:
		value, isText := expression.CompareValue.(string)
		path := expression.AttributePath
		if !isText || expression.Operator != filter.EQ || path.URIPrefix != nil || path.SubAttribute != nil {
			return d.walked(wanted)
		}
		switch strings.ToLower(path.AttributeName) {
		case "username":
			person, ok = d.byName[strings.ToLower(value)]
		case "externalid":
			person, ok = d.byExternal[value]
		default:
			return d.walked(wanted)
		}
	case *filter.ValuePath:
		value, isMail := mailOf(expression)
		if !isMail {
			return d.walked(wanted)
		}
		person, ok = d.byMail[value]
	default:
		return d.walked(wanted)
	}
	if !ok {
		return []scim.Resource{}
	}
	return []scim.Resource{person}
}

func (d *directory) walked(wanted matcher.Validator) []scim.Resource {
	found := []scim.Resource{}
	for _, id := range d.ids {
		if wanted.PassesFilter(d.byID[id].Attributes) == nil {
			found = append(found, d.byID[id])
		}
	}
	return found
}

func mailOf(path *filter.ValuePath) (string, bool) {
	both, ok := path.ValueFilter.(*filter.LogicalExpression)
	if !ok || both.Operator != filter.AND || !strings.EqualFold(path.AttributePath.AttributeName, "emails") {
		return "", false
	}
	kind, isKind := both.Left.(*filter.AttributeExpression)
	value, isValue := both.Right.(*filter.AttributeExpression)
	if !isKind || !isValue || kind.Operator != filter.EQ || value.Operator != filter.EQ ||
		kind.AttributePath.AttributeName != "type" || kind.CompareValue != "work" ||
		value.AttributePath.AttributeName != "value" {
		return "", false
	}
	text, ok := value.CompareValue.(string)
	return strings.ToLower(text), ok
}

// apply makes one PATCH operation, which the library has validated, on attributes of its own; it leaves this to
// whoever holds the people. Operations without a path and removals are none of the workloads, and are refused.
func apply(attributes map[string]any, operation scim.PatchOperation) error {
	path := operation.Path
	if path == nil || operation.Op == scim.PatchOperationRemove {
		return errors.ScimErrorInvalidPath
	}
	of := user
	if path.AttributePath.URI() == enterprise.ID {
		of = enterprise
		extension, _ := attributes[enterprise.ID].(map[string]any)
		extension = maps.Clone(extension)
		if extension == nil {
			extension = map[string]any{}
		}
		attributes[enterprise.ID], attributes = extension, extension
	}
	attribute, ok := of.Attributes.ContainsAttribute(path.AttributePath.AttributeName)
	if !ok {
		return errors.ScimErrorInvalidPath
	}
	sub := path.SubAttributeName()
	if path.ValueExpression == nil {
		if sub == "" {
			attributes[attribute.Name()] = operation.Value
		} else {
			attributes[attribute.Name()] = with(attributes[attribute.Name()], sub, operation.Value)
		}
		return nil
	}
	wanted := matcher.NewFilterValidator(path.ValueExpression, schema.Schema{Attributes: attribute.SubAttributes()})
	values, _ := attributes[attribute.Name()].([]any)
	values = slices.Clone(values)
	for position, value := range values {
		value, ok := value.(map[string]any)
		if !ok || wanted.PassesFilter(value) != nil {
			continue
		}
		if sub == "" {
			values[position] = operation.Value
		} else {
			values[position] = with(value, sub, operation.Value)
		}
		attributes[attribute.Name()] = values
		return nil
	}
	return errors.ScimErrorNoTarget
}

func with(complex any, sub string, value any) map[string]any {
	before, _ := complex.(map[string]any)
	after := maps.Clone(before)
	if after == nil {
		after = map[string]any{}
	}
	after[sub] = value
	return after
}

func part[T any](all []T, wanted scim.ListRequestParams) []T {
	first := min(wanted.StartIndex-1, len(all))
	return all[first:min(first+wanted.Count, len(all))]
}

func name(person scim.Resource) string {
	text, _ := person.Attributes["userName"].(string)
	return strings.ToLower(text)
}

func workMail(person scim.Resource) string {
	mails, _ := person.Attributes["emails"].([]any)
	for _, one := range mails {
		if mail, ok := one.(map[string]any); ok && mail["type"] == "work" {
			value, _ := mail["value"].(string)
			return strings.ToLower(value)
		}
	}
	return ""
}

func main() {
	people := &directory{
		byID: map[string]scim.Resource{}, byName: map[string]scim.Resource{},
		byExternal: map[string]scim.Resource{}, byMail: map[string]scim.Resource{},
	}
	server, err := scim.NewServer(&scim.ServerArgs{
		ServiceProviderConfig: &scim.ServiceProviderConfig{SupportFiltering: true, SupportPatch: true},
		ResourceTypes: []scim.ResourceType{{
			Name: "User", Endpoint: "/Users", Schema: user, Handler: people,
			SchemaExtensions: []scim.SchemaExtension{{Schema: enterprise}},
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	scimAPI := http.StripPrefix("/scim", server)
	handler := http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		if !strings.HasPrefix(request.Header.Get("Authorization"), "Bearer ") {
			answer.WriteHeader(http.StatusUnauthorized)
			return
		}
		scimAPI.ServeHTTP(answer, request)
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], handler))
}
