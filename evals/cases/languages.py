"""Eight languages beside English: the command is followed, and the reply is in the person's language."""

from evals.case import Category, EvalCase, Seed
from evals.checks import Want, claims_nothing, says, speaks, tasks, unchanged

_TEXTS = {
    # A task for tomorrow with a word of its title; the list; "complete the first", whose title stays; a missing task.
    "de": (
        "Erinnere mich daran, morgen Brot zu kaufen",
        "Brot",
        "Was steht auf meiner Liste?",
        "Ich habe die Milch gekauft, hake das ab",
        "Lösche die Aufgabe mit dem Klavier",
    ),
    "fr": (
        "Rappelle-moi d'acheter du pain demain",
        "pain",
        "Qu'est-ce qu'il y a sur ma liste ?",
        "J'ai acheté le lait, coche-le",
        "Supprime la tâche du piano",
    ),
    "es": (
        "Recuérdame comprar pan mañana",
        "pan",
        "¿Qué hay en mi lista?",
        "Ya compré la leche, márcala como hecha",
        "Borra la tarea del piano",
    ),
    "pt": (
        "Lembre-me de comprar pão amanhã",
        "pão",
        "O que está na minha lista?",
        "Já comprei o leite, marque como feito",
        "Apague a tarefa do piano",
    ),
    "ru": (
        "Напомни мне завтра купить хлеб",
        "хлеб",
        "Что в моём списке?",
        "Я купил молоко, отметь это",
        "Удали задачу про пианино",
    ),
    "zh": ("提醒我明天买面包", "面包", "我的清单上有什么？", "牛奶已经买了，请标记为完成", "删除关于钢琴的任务"),
    "ja": (
        "明日パンを買うことを忘れないようにして",
        "パン",
        "リストには何がありますか？",
        "牛乳は買いました。完了にしてください",
        "ピアノのタスクを削除して",
    ),
    "tr": (
        "Yarın ekmek almamı hatırlat",
        "ekmek",
        "Listemde ne var?",
        "Sütü aldım, tamamlandı olarak işaretle",
        "Piyano görevini sil",
    ),
}
_MILK = {
    "de": "Milch kaufen",
    "fr": "Acheter du lait",
    "es": "Comprar leche",
    "pt": "Comprar leite",
    "ru": "Купить молоко",
    "zh": "买牛奶",
    "ja": "牛乳を買う",
    "tr": "Süt al",
}


def _cases(language: str) -> tuple[EvalCase, ...]:
    create, bread, show, done, missing = _TEXTS[language]
    milk = Seed(_MILK[language])
    kind = Category.LANGUAGES
    return (
        EvalCase(f"{language}: create", kind, (create,), (tasks(Want(bread, due="2026-11-26")), speaks(language))),
        EvalCase(f"{language}: list", kind, (show,), (unchanged, says(milk.title), speaks(language)), (milk,)),
        EvalCase(
            f"{language}: complete", kind, (done,), (tasks(Want(milk.title, completed=True)), speaks(language)), (milk,)
        ),
        EvalCase(f"{language}: not found", kind, (missing,), (unchanged, claims_nothing, speaks(language)), (milk,)),
    )


CASES = tuple(case for language in _TEXTS for case in _cases(language))
