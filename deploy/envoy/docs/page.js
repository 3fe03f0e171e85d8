SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  docExpansion: "list",
  // Swagger UI would otherwise ask a public validator about the document.
  validatorUrl: null,
});
