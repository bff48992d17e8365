"""The words of the pages, by language."""

LANGUAGES = ("en", "fr")

TEXTS = {
    "en": {
        "title": "Clean room",
        "intro": (
            "Partner brands hash their customers' identifiers on their own machines and upload the tokens here. "
            "This room answers with overlaps and totals, under the agreement that every partner signed. "
            "No row of anybody's data leaves it."
        ),
        "promise_title": "What it promises, and what it does not",
        "promise": (
            "Every decision is in the audit log before its answer leaves, and nobody can change the log unnoticed by "
            "whoever kept an earlier checkpoint. The room never holds the partners' secret, so it cannot test names "
            "against their tokens; the operator together with one partner could. Tokens are pseudonymous, not "
            "anonymous. Each report tells how its figures were protected."
        ),
        "facts": "Public facts",
        "name": "Name",
        "address": "Address",
        "vkey": "Log key",
        "vkey_note": "Compare it with the one that the operator gave you. Receipts and exports are checked with it.",
        "checkpoint": "Last checkpoint of the log",
        "join": "Take part",
        "join_note": "With an invitation code from the operator:",
        "links": "More",
        "api": "API description",
        "api_json": "the same as OpenAPI 3.1",
        "health": "health",
        "docs": "The documentation is in the folder docs of the project; README.md says where to begin.",
        "other": "Français",
        "other_code": "fr",
        "method": "Method",
        "path": "Address",
        "summary": "What it does",
        "open": "Token",
        "no": "no",
        "yes": "yes",
        "back": "Back to the front page",
    },
    "fr": {
        "title": "Clean room",
        "intro": (
            "Les marques partenaires hachent les identifiants de leurs clients sur leurs propres machines et déposent "
            "ici les jetons obtenus. Cette salle répond par des recouvrements et des totaux, selon l'accord que chaque "
            "partenaire a signé. Aucune ligne des données de personne n'en sort."
        ),
        "promise_title": "Ce qu'elle promet, et ce qu'elle ne promet pas",
        "promise": (
            "Chaque décision est dans le journal d'audit avant que sa réponse ne parte, et personne ne peut changer le "
            "journal à l'insu de qui en a gardé un point de contrôle. La salle ne détient jamais le secret des "
            "partenaires : elle ne peut donc pas essayer des noms contre leurs jetons ; l'opérateur avec un partenaire "
            "le pourrait. Les jetons sont pseudonymes, non anonymes. Chaque rapport dit comment ses chiffres ont été "
            "protégés."
        ),
        "facts": "Faits publics",
        "name": "Nom",
        "address": "Adresse",
        "vkey": "Clé du journal",
        "vkey_note": (
            "Comparez-la à celle que l'opérateur vous a donnée. Les reçus et les exports se vérifient avec elle."
        ),
        "checkpoint": "Dernier point de contrôle du journal",
        "join": "Participer",
        "join_note": "Avec un code d'invitation de l'opérateur :",
        "links": "Suite",
        "api": "Description de l'API",
        "api_json": "la même en OpenAPI 3.1",
        "health": "état",
        "docs": "La documentation est dans le dossier docs du projet ; README.md dit par où commencer.",
        "other": "English",
        "other_code": "en",
        "method": "Méthode",
        "path": "Adresse",
        "summary": "Ce qu'elle fait",
        "open": "Jeton",
        "no": "non",
        "yes": "oui",
        "back": "Retour à la page d'accueil",
    },
}
