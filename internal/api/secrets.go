package api

import (
	"github.com/takovm/tako/internal/api/schema"
	"github.com/takovm/tako/internal/api/wire"
	"github.com/takovm/tako/internal/job"
)

// secretTable is the body of a secret. What a value may be is the service's to
// say: an error of the table would repeat it.
func secretTable() schema.Type {
	return schema.Type{Kind: schema.Object, Name: "SecretRequest", Secret: true, Fields: []schema.Field{
		{Name: "value", Required: true, Type: schema.Type{Kind: schema.String, Doc: "the value: 8 to 8192 characters of printable ASCII; it is never answered"}},
	}}
}

// bindingsType are the secrets of a job type.
func bindingsType() schema.Type {
	binding := schema.Type{Kind: schema.Object, Holds: bindingProblem, Fields: []schema.Field{
		{Name: "name", Required: true, Type: schema.Type{Kind: schema.String, Doc: "of the secret, and of the variable with its placeholder"}},
		{Name: "host", Required: true, Type: schema.Type{Kind: schema.String, Doc: "one host name; :port unless that is 443"}},
		field("header", schema.Type{Kind: schema.String, Null: true, Doc: "in which the value takes the placeholder's place", Default: "Authorization"}),
	}}
	return schema.Type{Kind: schema.List, Null: true, MaxLen: 32, Items: &binding, Doc: "values that jobs use and do not see"}
}

func bindingProblem(v *schema.Value) string {
	field, msg := bindSecret(v).Problem()
	if msg == "" {
		return ""
	}
	return field + " " + msg
}

func bindSecret(v *schema.Value) job.SecretBinding {
	return job.SecretBinding{Name: v.Get("name").Text(), Host: v.Get("host").Text(), Header: v.Get("header").Text()}
}

func bindSecrets(v *schema.Value) (list []job.SecretBinding) {
	for _, item := range v.Items() {
		list = append(list, bindSecret(item))
	}
	return list
}

func (a *API) secretRoutes() []route {
	return []route{
		{method: "GET", pattern: "/secrets", name: "list_secrets", tag: "secrets", summary: "Stored secrets, without their values",
			scope: job.ScopeAdmin, answer: []wire.Secret{}, handle: (*call).listSecrets},
		{method: "PUT", pattern: "/secrets/{name}", name: "set_secret", tag: "secrets", summary: "Store a secret that job types may bind, or change it",
			scope: job.ScopeAdmin, body: &a.tables.secret, answer: wire.Secret{}, handle: (*call).setSecret},
		{method: "DELETE", pattern: "/secrets/{name}", name: "delete_secret", tag: "secrets", summary: "Remove a secret",
			scope: job.ScopeAdmin, answer: wire.SecretRemoved{}, errors: []int{404}, handle: (*call).deleteSecret},
	}
}

func (c *call) listSecrets() error {
	list, err := c.api.service.ListSecrets(c.r.Context())
	if err != nil {
		return err
	}
	return c.ok(append([]wire.Secret{}, list...))
}

func (c *call) setSecret() error {
	s, err := c.api.service.SetSecret(c.r.Context(), validText(c.r.PathValue("name")), c.in.Get("value").Text())
	if err != nil {
		return err
	}
	return c.ok(s)
}

func (c *call) deleteSecret() error {
	name := validText(c.r.PathValue("name"))
	if err := c.api.service.DeleteSecret(c.r.Context(), name); err != nil {
		return err
	}
	return c.ok(wire.SecretRemoved{Status: "removed", Name: name})
}
